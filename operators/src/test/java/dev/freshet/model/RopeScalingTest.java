package dev.freshet.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Inverse frequencies by hand, and the two spellings of config.json. */
final class RopeScalingTest {

    @TempDir
    Path folder;

    private RopeConfig rope(String fields) throws Exception {
        Path file = folder.resolve("config.json");
        Files.writeString(
                file,
                """
                {"model_type":"llama","hidden_size":32,"num_attention_heads":4,"intermediate_size":8,"num_hidden_layers":1,
                "vocab_size":9,"max_position_embeddings":256%s}
                """
                        .formatted(fields.isEmpty() ? "" : "," + fields));
        return ConfigReader.open(file).read().rope();
    }

    @Test
    void withoutScalingThePowersOfTheta() throws Exception {
        RopeConfig rope = rope("");
        assertThat(rope.magnitude()).isEqualTo(1);
        assertThat(rope.inverseFrequency()).hasSize(4);
        assertThat(rope.inverseFrequency()[0]).isEqualTo(1);
        assertThat(rope.inverseFrequency()[2]).isCloseTo(0.01, within(1e-15));
        assertThat(rope("\"rope_theta\":16,\"rope_scaling\":null").inverseFrequency())
                .containsExactly(new double[] {1, 0.5, 0.25, 0.125}, within(1e-15));
    }

    @Test
    void bothSpellingsMeanTheSame() throws Exception {
        String rule =
                "\"factor\":8,\"low_freq_factor\":1,\"high_freq_factor\":4,\"original_max_position_embeddings\":32";
        RopeConfig now = rope("\"rope_parameters\":{\"rope_type\":\"llama3\",\"rope_theta\":50000.0," + rule + "}");
        RopeConfig once = rope("\"rope_theta\":50000,\"rope_scaling\":{\"type\":\"llama3\"," + rule + "}");
        assertThat(once.inverseFrequency()).isEqualTo(now.inverseFrequency());
        assertThat(now.inverseFrequency())
                .isNotEqualTo(rope("\"rope_theta\":50000").inverseFrequency());
    }

    @Test
    void scalingBesideParametersWins() throws Exception {
        RopeConfig rope = rope(
                "\"rope_theta\":16,\"rope_parameters\":{\"rope_type\":\"default\"},\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":2}");
        assertThat(rope.inverseFrequency()).containsExactly(new double[] {0.5, 0.25, 0.125, 0.0625}, within(1e-15));
        assertThat(rope("\"rope_scaling\":{},\"rope_parameters\":{\"rope_theta\":16}")
                        .inverseFrequency()[1])
                .isCloseTo(0.5, within(1e-15));
    }

    @Test
    void llama3KeepsShortWavesStretchesLongOnesAndBlendsBetween() throws Exception {
        // Turns over 32 positions: 32 / 2π · (1, 1/4, 1/16, 1/64) = 5.09, 1.27, 0.318, 0.0796.
        double[] f =
                rope("\"rope_theta\":256,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,"
                                + "\"high_freq_factor\":4,\"original_max_position_embeddings\":32}")
                        .inverseFrequency();
        double blend = (8 / (2 * Math.PI) - 1) / 3;
        assertThat(f[0]).isEqualTo(1);
        assertThat(f[1]).isCloseTo(0.25 * (blend + (1 - blend) / 8), within(1e-15));
        assertThat(f[2]).isCloseTo(0.0625 / 8, within(1e-15));
        assertThat(f[3]).isCloseTo(0.015625 / 8, within(1e-15));
    }

    @Test
    void trainedLengthFallsBackToThePositionsAndIsOverriddenFromOutside() throws Exception {
        String rule =
                "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,\"high_freq_factor\":4";
        double[] implied = rope(rule + "}").inverseFrequency();
        assertThat(implied)
                .isEqualTo(rope(rule + ",\"original_max_position_embeddings\":256}")
                        .inverseFrequency());
        assertThat(rope(rule + ",\"original_max_position_embeddings\":16},\"original_max_position_embeddings\":256")
                        .inverseFrequency())
                .isEqualTo(implied);
    }

    @Test
    void yarnMagnitude() throws Exception {
        String rule = "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"original_max_position_embeddings\":64";
        double once = 0.1 * Math.log(4) + 1;
        assertThat(rope(rule + "}").magnitude()).isCloseTo(once, within(1e-15));
        assertThat(rope(rule + ",\"attention_factor\":0.7}").magnitude()).isEqualTo(0.7);
        assertThat(rope(rule + ",\"mscale\":1,\"mscale_all_dim\":1}").magnitude())
                .isEqualTo(1);
        assertThat(rope(rule + ",\"mscale\":2,\"mscale_all_dim\":1}").magnitude())
                .isCloseTo((0.2 * Math.log(4) + 1) / once, within(1e-15));
        assertThat(rope(rule + ",\"mscale\":2}").magnitude()).isCloseTo(once, within(1e-15));
    }

    @Test
    void yarnRampRunsBetweenItsChannels() throws Exception {
        // ch(β) = 8 ln(64 / 2πβ) / (2 ln 10^4): 1.0080 for β = 1, 0.0 for β = 64 / 2π.
        String rule = "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"original_max_position_embeddings\":64,"
                + "\"beta_fast\":10.5,\"beta_slow\":1";
        double[] whole = rope(rule + "}").inverseFrequency();
        assertThat(whole[0]).isEqualTo(1);
        assertThat(whole[1]).isCloseTo(0.1 * (0.5 / 4 + 0.5), within(1e-15));
        assertThat(whole[2]).isCloseTo(0.01 / 4, within(1e-15));
        double end = 8 * Math.log(64 / (2 * Math.PI)) / (2 * Math.log(10000));
        double[] exact = rope(rule + ",\"truncate\":false}").inverseFrequency();
        assertThat(exact[1]).isCloseTo(0.1 * (1 / end / 4 + 1 - 1 / end), within(1e-12));
    }

    @Test
    void cosinesAndSinesCarryTheMagnitude() {
        float[] out = new float[5];
        new RopeConfig(new double[] {1, 0.5}, 2).cosSin(3, out, 1);
        assertThat(out)
                .containsExactly(
                        new float[] {
                            0,
                            (float) (2 * Math.cos(3)),
                            (float) (2 * Math.cos(1.5)),
                            (float) (2 * Math.sin(3)),
                            (float) (2 * Math.sin(1.5))
                        },
                        within(1e-6f));
    }
}
