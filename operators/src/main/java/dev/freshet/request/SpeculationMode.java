package dev.freshet.request;

/** How a sequence is drafted; exact-match acceptance keeps the text the same for every value but {@link #TYPICAL}. */
public enum SpeculationMode {
    /** The engine chooses drafter and draft size by what pays. */
    AUTO,
    /** One token a step. */
    OFF,
    /** A candidate tree from the model's Medusa heads. */
    TREE,
    /** A chain copied from an earlier occurrence of the sequence's own last tokens. */
    LOOKUP,
    /** Medusa tree with the typical acceptance of arXiv 2401.10774: lossy, the text may differ from plain decoding. */
    TYPICAL
}
