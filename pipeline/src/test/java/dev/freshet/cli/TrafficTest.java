package dev.freshet.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.freshet.request.ConfigError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TrafficTest {

    private static final Traffic.Arrival LENGTH = new Traffic.Arrival(0, 7, 5);

    @Nested
    class OfATrace {

        @TempDir
        private Path folder = Path.of("");

        private List<TraceFile.Entry> read(String content) throws IOException {
            return TraceFile.read(Files.writeString(folder.resolve("trace.csv"), content));
        }

        @Test
        void theFormatsOfPublicTracesAreRead() throws IOException {
            List<TraceFile.Entry> expected = List.of(
                    new TraceFile.Entry(0, 374, 44),
                    new TraceFile.Entry(1.25, 396, 0),
                    new TraceFile.Entry(61.25, 3, 9));
            String azure = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46.2500000,374,44\r\n"
                    + "2023-11-16 18:15:47.5000000,396,0\r\n2023-11-16 18:16:47.5000000,3,9";
            String zoned = azure.replace("0000,", "0000+00:00,");
            String burst = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
                    + "5,ChatGPT,374,44,418,API log\n6.25,GPT-4,396,0,396,API log\n66.25,GPT-4,3,9,12,API log\n";
            String ours = "seconds,prompt_tokens,completion_tokens\n61.25,3,9\n\n0,374,44\n1.25,396,0\n";
            assertThat(read(azure)).isEqualTo(expected);
            assertThat(read(zoned)).isEqualTo(expected);
            assertThat(read(burst)).isEqualTo(expected);
            assertThat(read(ours)).isEqualTo(expected);
        }

        @ParameterizedTest
        @ValueSource(
                strings = {"0,1\n", "0,one,2\n", "0,-1,2\n", "2023-11-16 at 18:15,1,2\n", "0,1,2\n1,99999999999,2\n"})
        void aLineThatIsNoneIsNamed(String lines) {
            String content = "seconds,prompt_tokens,completion_tokens\n" + lines;
            assertThatThrownBy(() -> read(content))
                    .isInstanceOf(ConfigError.class)
                    .hasMessageContaining("trace.csv:" + (lines.startsWith("0,1,2") ? 3 : 2));
        }

        @Test
        void columnsThatAreNotThereAreNamed() {
            assertThatThrownBy(() -> read("when,how,much\n1,2,3\n"))
                    .isInstanceOf(ConfigError.class)
                    .hasMessageContaining("TIMESTAMP,ContextTokens,GeneratedTokens");
            assertThatThrownBy(() -> read("seconds,prompt,output\n"))
                    .isInstanceOf(ConfigError.class)
                    .hasMessageContaining("got none");
        }

        @Test
        void speedAndScalesAndDurationChangeIt() {
            List<TraceFile.Entry> trace = List.of(
                    new TraceFile.Entry(0, 1000, 10), new TraceFile.Entry(8, 1, 0), new TraceFile.Entry(20, 50, 50));
            Traffic traffic = Traffic.ofTrace("t", trace, new Traffic.Change(4, 0.1, 2, 3));
            assertThat(traffic.arrivals())
                    .containsExactly(new Traffic.Arrival(0, 100, 20), new Traffic.Arrival(2_000_000_000L, 1, 1));
            assertThat(traffic.seconds()).isEqualTo(3);
            assertThat(Traffic.ofTrace("t", trace, new Traffic.Change(4, 1, 1, 100))
                            .seconds())
                    .isEqualTo(5);
        }
    }

    @Test
    void evenTrafficIsEven() {
        Traffic traffic = Traffic.ofRate(LENGTH, 4, 2, false, 9);
        assertThat(traffic.arrivals().stream().map(a -> a.nanos() / 1_000_000))
                .containsExactly(0L, 250L, 500L, 750L, 1000L, 1250L, 1500L, 1750L);
        assertThat(traffic.arrivals()).allMatch(a -> a.promptTokens() == 7 && a.completionTokens() == 5);
    }

    @Test
    void independentTrafficHasTheRateAndTheSpreadOfPoissonAndComesAgain() {
        Traffic traffic = Traffic.ofRate(LENGTH, 50, 400, true, 3);
        int all = traffic.arrivals().size();
        assertThat(all / 400.0).isCloseTo(50, within(1.0));
        int[] seconds = new int[400];
        traffic.arrivals().forEach(a -> seconds[(int) (a.nanos() / 1_000_000_000L)]++);
        double mean = all / 400.0;
        double variance = 0;
        for (int count : seconds) {
            variance += (count - mean) * (count - mean) / 399;
        }
        assertThat(variance / mean).isBetween(0.8, 1.25);
        assertThat(Traffic.ofRate(LENGTH, 50, 400, true, 3)).isEqualTo(traffic);
        assertThat(Traffic.ofRate(LENGTH, 50, 400, true, 4)).isNotEqualTo(traffic);
    }

    @Test
    void moreThanMemoryHoldsIsRefused() {
        assertThatThrownBy(() -> Traffic.ofRate(LENGTH, 1e6, 3600, true, 3)).isInstanceOf(ConfigError.class);
    }
}
