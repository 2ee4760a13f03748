package dev.freshet.sampling;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.cuda.FakeDriver;
import dev.freshet.kernel.Draw;
import dev.freshet.kernel.DrawRule;
import dev.freshet.kernel.Drawn;
import dev.freshet.kernel.Kernels;
import dev.freshet.request.SamplingParams;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The sampler on the device draws the tokens and the log-probabilities of the sampler on the host, to the bit, from the same logits. */
final class CudaSamplerTest {

    private static final int[] NONE = {};

    @SuppressWarnings("NullAway.Init") // Opened before every test.
    private Kernels kernels;

    @BeforeEach
    void open() {
        kernels = FakeDriver.open();
    }

    @AfterEach
    void close() {
        kernels.close();
    }

    /** One row and what precedes it. */
    private record Row(float[] logits, SamplingParams params, TokenHistory history, int[] path, int[] forbidden) {

        static Row of(SamplerCase c, int logprobs, int[] path) {
            SamplingParams params = c.params().toBuilder().logprobs(logprobs).build();
            return new Row(c.logits(), params, c.history(), path, c.forbidden());
        }

        Row with(SamplingParams other) {
            return new Row(logits, other, history, path, forbidden);
        }
    }

    private List<Drawn> draw(List<Row> rows) {
        int vocab = rows.get(0).logits().length;
        float[] all = new float[rows.size() * vocab];
        List<Draw> draws = new ArrayList<>();
        for (int i = 0; i < rows.size(); i++) {
            Row row = rows.get(i);
            // Rows of logits and draws need not come in the same order.
            int place = (i + 1) % rows.size();
            System.arraycopy(row.logits(), 0, all, place * vocab, vocab);
            DrawRule rule = DrawRules.of(row.params(), row.history(), row.forbidden());
            draws.add(new Draw(place, rule, row.history().length() + row.path().length, row.path(), true));
        }
        kernels.prepareDraws(vocab, rows.size());
        return kernels.draw(kernels.upload(all), vocab, draws);
    }

    private void check(List<Row> rows) {
        List<Drawn> drawn = draw(rows);
        Sampler sampler = new Sampler(rows.get(0).logits().length);
        for (int i = 0; i < rows.size(); i++) {
            Row row = rows.get(i);
            int[] output = Arrays.copyOf(row.history().output(), row.history().outputLength() + row.path().length);
            System.arraycopy(row.path(), 0, output, row.history().outputLength(), row.path().length);
            TokenHistory history = new TokenHistory(row.history().prompt(), output);
            int token = sampler.sample(row.logits(), 0, row.params(), history, row.forbidden());
            assertThat(drawn.get(i).token()).as("row %d of %s", i, row.params()).isEqualTo(token);
            if (row.params().logprobs() >= 0 && token >= 0) {
                Logprobs expected = sampler.logprobs(
                        row.logits(),
                        0,
                        row.params(),
                        history,
                        row.forbidden(),
                        token,
                        row.params().logprobs());
                Logprobs got = DrawRules.logprobs(drawn.get(i));
                assertThat(got.token()).isEqualTo(token);
                assertThat(got.logprob()).as("row %d", i).isEqualTo(expected.logprob());
                assertThat(got.topTokens()).containsExactly(expected.topTokens());
                assertThat(got.topLogprobs()).containsExactly(expected.topLogprobs());
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"1, 12", "5, 90", "12, 90", "257, 120", "1024, 20", "1500, 60", "4100, 16"})
    void drawsWhatTheHostDraws(int vocab, int cases) {
        List<Row> rows = new ArrayList<>();
        SplittableRandom random = new SplittableRandom(vocab);
        for (int i = 0; i < cases; i++) {
            int[] path = random.ints(random.nextInt(4), 0, vocab).toArray();
            rows.add(Row.of(SamplerCase.of(1000L * vocab + i, vocab), random.nextInt(-1, 21), path));
        }
        check(rows);
    }

    @Test
    void largeVocabularyWithAFlatHeadTakesSeveralRounds() {
        int vocab = 12_000;
        SplittableRandom random = new SplittableRandom(5);
        float[] logits = new float[vocab];
        for (int i = 0; i < vocab; i++) {
            // A thousand values, so that many tokens are equal.
            logits[i] = random.nextInt(1000) / 1000f;
        }
        TokenHistory history = new TokenHistory(new int[] {1, 2, 3});
        List<Row> rows = new ArrayList<>();
        for (double topP : new double[] {0.02, 0.2, 0.9}) {
            for (int topK : new int[] {0, 3001}) {
                SamplingParams params = SamplingParams.builder()
                        .topP(topP)
                        .topK(topK)
                        .seed(77)
                        .logprobs(3)
                        .build();
                rows.add(new Row(logits, params, history, NONE, NONE));
            }
        }
        check(rows);
    }

    @Test
    void pathOfADraftCountsAsOutput() {
        float[] logits = new float[300];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) Math.sin(i);
        }
        TokenHistory history = new TokenHistory(new int[] {5, 6, 7}, new int[] {8, 8, 5});
        List<Row> rows = new ArrayList<>();
        for (int[] path : List.of(NONE, new int[] {8}, new int[] {9, 9, 5}, new int[] {1, 2, 1, 299, 6, 1})) {
            SamplingParams.Builder params = SamplingParams.builder()
                    .repetitionPenalty(1.3)
                    .frequencyPenalty(0.7)
                    .presencePenalty(0.2)
                    .logitBias(Map.of(8, 3.0, 9, -2.5))
                    .logprobs(20);
            for (double temperature : new double[] {0, 0.5, 2}) {
                rows.add(new Row(logits, params.temperature(temperature).build(), history, path, new int[] {14, 2}));
            }
        }
        check(rows);
    }

    @Test
    void ranksAsTheHostRanks() {
        int vocab = 900;
        float[] logits = new float[3 * vocab];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = i % 7 == 3 ? Float.NaN : Math.round(20 * Math.sin(i));
        }
        Arrays.fill(logits, 2 * vocab, 3 * vocab, Float.NEGATIVE_INFINITY);
        kernels.prepareDraws(vocab, 3);
        for (int k : new int[] {1, 10, Kernels.MOST_TOP}) {
            int[] expected = new int[3 * k];
            int[] ids = new int[k];
            for (int row = 0; row < 3; row++) {
                new TopTokens().select(logits, row * vocab, vocab, k, ids);
                System.arraycopy(ids, 0, expected, row * k, k);
            }
            assertThat(kernels.top(kernels.upload(logits), vocab, 3, k)).containsExactly(expected);
        }
    }

    @Test
    void faultsAreToldFromTokens() {
        SamplingParams greedy = SamplingParams.builder().temperature(0).build();
        SamplingParams warm =
                SamplingParams.builder().temperature(1).logprobs(2).build();
        TokenHistory history = new TokenHistory(new int[] {1});
        List<Row> rows = new ArrayList<>();
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            for (int count : new int[] {1, 600}) {
                float[] logits = new float[600];
                Arrays.fill(logits, 600 - count, 600, bad);
                Row row = new Row(logits, greedy, history, NONE, NONE);
                rows.addAll(List.of(row, row.with(warm), new Row(logits, warm, history, NONE, new int[] {599})));
            }
        }
        check(rows);
        assertThat(draw(rows)).extracting(Drawn::token).contains(-1).anyMatch(token -> token >= 0);
    }
}
