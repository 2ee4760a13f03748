package dev.freshet.tokenizer;

import java.util.List;

/**
 * Turns token ids into text one at a time. All that it has given, with what {@link #finish} adds, is exactly what decoding all ids
 * at once gives; characters cut in the middle and runs of byte tokens are held back until they are certain. Each token costs time
 * in proportion to its own text. Confined to the engine thread.
 */
public final class IncrementalDecoder {

    private final Vocabulary vocabulary;
    private final boolean skipSpecial;
    private final DecodeStage[] stages;
    private final DecodeStage.Next[] inputs;
    private StringBuilder out = new StringBuilder();
    private boolean finished;

    IncrementalDecoder(Vocabulary vocabulary, DecoderSpec spec, boolean skipSpecial) {
        this.vocabulary = vocabulary;
        this.skipSpecial = skipSpecial;
        List<DecodeStage> list = spec.start();
        stages = list.toArray(new DecodeStage[0]);
        // inputs[i] feeds stage i, the last one the text.
        inputs = new DecodeStage.Next[stages.length + 1];
        inputs[stages.length] = piece -> out.append(piece);
        for (int i = stages.length - 1; i >= 0; i--) {
            DecodeStage stage = stages[i];
            DecodeStage.Next next = inputs[i + 1];
            inputs[i] = piece -> stage.accept(piece, next);
        }
    }

    /** Takes a token and appends the text that is certain now; ids outside the vocabulary have no text. */
    public void accept(int token, StringBuilder text) {
        if (finished) {
            throw new IllegalStateException("decoder is finished");
        }
        String piece = vocabulary.piece(token);
        if (piece == null || !hasText(token)) {
            return;
        }
        out = text;
        inputs[0].accept(piece);
    }

    /**
     * Takes tokens whose text is not wanted, those of the prompt: what follows is decoded as their continuation, so that it keeps its
     * leading space. What they leave incomplete is theirs and does not come out later. Tokens without any text, a begin token
     * for example, leave the decoder at the beginning.
     */
    public void skip(int[] tokens) {
        StringBuilder ignored = new StringBuilder();
        boolean any = false;
        for (int token : tokens) {
            any |= hasText(token);
            accept(token, ignored);
            ignored.setLength(0);
        }
        if (any) {
            flush(ignored);
        }
    }

    private boolean hasText(int token) {
        return vocabulary.piece(token) != null && !(skipSpecial && vocabulary.isSpecial(token));
    }

    /** Takes the end of the sequence and appends what was held back; a character that never became complete is U+FFFD. */
    public void finish(StringBuilder text) {
        if (finished) {
            return;
        }
        finished = true;
        flush(text);
    }

    private void flush(StringBuilder text) {
        out = text;
        for (int i = 0; i < stages.length; i++) {
            stages[i].finish(inputs[i + 1]);
        }
    }
}
