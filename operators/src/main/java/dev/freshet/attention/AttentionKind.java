package dev.freshet.attention;

import dev.freshet.kernel.AttentionSpec.FeatureMap;
import dev.freshet.kernel.AttentionSpec.Finish;
import dev.freshet.kernel.AttentionSpec.Local;
import dev.freshet.kernel.AttentionSpec.Past;
import dev.freshet.request.ConfigError;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/** The attention methods by their names in config.json; formulas in docs/maths.md §2. */
public enum AttentionKind {
    /** Softmax attention over a key/value cache (Vaswani et al. 2017). */
    SOFTMAX(Past.CACHE, FeatureMap.IDENTITY, Finish.NONE, false),
    /** Squared-ReLU attention within a group (Hua et al. 2022). */
    FLASH_LOCAL(Past.NONE, FeatureMap.UNIT, Finish.NONE, true),
    /** Linear attention over earlier groups on unit vectors (Hua et al. 2022). */
    FLASH_GLOBAL(Past.SUM, FeatureMap.UNIT, Finish.NONE, true),
    /** Causal memory slots in place of Linformer, which has no causal form (Wang et al. 2020; Peng et al. 2022). */
    LINFORMER(Past.SLOTS, FeatureMap.IDENTITY, Finish.NONE, true),
    /** Positive random features (Choromanski et al. 2021). */
    PERFORMER(Past.SUM, FeatureMap.RANDOM_EXP, Finish.RATIO, true),
    /** NormAttention of TransNormer (Qin et al. 2022). */
    TRANSNORMER(Past.SUM, FeatureMap.ELU, Finish.TOKEN_RMS, true),
    /** Hashed attention with fixed planes (Zeng et al. 2021). */
    YOSO(Past.TABLES, FeatureMap.HASH, Finish.UNIT, true),
    /** ReLU linear attention (Cai et al. 2023). */
    RELU(Past.SUM, FeatureMap.RELU, Finish.RATIO_EPS, true),
    /** Learned softmax features (Zhang et al. 2024). */
    HEDGEHOG(Past.SUM, FeatureMap.SOFTMAX_PAIR, Finish.RATIO, true),
    /** Fixed decay for each head (Sun et al. 2023). */
    RETNET(Past.DECAY, FeatureMap.IDENTITY, Finish.HEAD_NORM, false),
    /** Gated linear attention (Yang et al. 2024). */
    GLA(Past.CHANNEL_DECAY, FeatureMap.IDENTITY, Finish.HEAD_NORM, false),
    /** Gated delta rule (Yang et al. 2024). */
    GATED_DELTANET(Past.DELTA, FeatureMap.UNIT, Finish.HEAD_NORM, false),
    /** Block-local softmax, the early layers of TransNormer (Qin et al. 2022). */
    TRANSNORMER_DIAG(Past.NONE, FeatureMap.IDENTITY, Finish.NONE, false),
    /** Expectation form of YOSO within a group (Zeng et al. 2021). */
    YOSO_LOCAL(Past.NONE, FeatureMap.UNIT, Finish.NONE, false);

    private final Past past;
    private final FeatureMap map;
    private final Finish finish;
    private final boolean augmentable;

    AttentionKind(Past past, FeatureMap map, Finish finish, boolean augmentable) {
        this.past = past;
        this.map = map;
        this.finish = finish;
        this.augmentable = augmentable;
    }

    /** The kind of a name in config.json. */
    public static AttentionKind of(String name) {
        for (AttentionKind kind : values()) {
            if (kind.id().equals(name)) {
                return kind;
            }
        }
        String known = Arrays.stream(values()).map(AttentionKind::id).collect(Collectors.joining(", "));
        throw new ConfigError("Cannot read attention kind: expected one of " + known + ", got " + name
                + " (config.json, attention). Check the spelling or use a newer Freshet.");
    }

    /** Name in config.json. */
    public String id() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Whether the kind has an augmented form. */
    public boolean augmentable() {
        return augmentable;
    }

    /** What is kept of tokens outside the open group. */
    public Past past() {
        return past;
    }

    FeatureMap map() {
        return map;
    }

    Finish finish() {
        return finish;
    }

    /** Attention within the open group. */
    Local local(boolean augmented) {
        if (augmented) {
            return Local.RELU2;
        }
        return switch (this) {
            case FLASH_LOCAL -> Local.RELU2;
            case TRANSNORMER_DIAG -> Local.SOFTMAX;
            case YOSO_LOCAL -> Local.YOSO;
            default -> Local.NONE;
        };
    }

    /** Whether the past covers earlier groups only. */
    boolean grouped(boolean augmented) {
        return augmented || this == FLASH_GLOBAL || past == Past.NONE;
    }
}
