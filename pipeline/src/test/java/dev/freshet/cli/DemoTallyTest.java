package dev.freshet.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.job.PromptFeed;
import dev.freshet.job.TopicTail;
import dev.freshet.schema.Completion;
import dev.freshet.schema.Failure;
import dev.freshet.schema.RequestMetrics;
import dev.freshet.schema.Usage;
import java.util.List;
import org.junit.jupiter.api.Test;

class DemoTallyTest {

    private final DemoTally tally = new DemoTally();

    private static TopicTail.Item completion(long offset, long at, int tokens, double firstMillis) {
        Completion c = Completion.newBuilder()
                .setId("r" + offset)
                .setFinishReason("length")
                .setUsage(new Usage(3L, (long) tokens, 0L))
                .setMetrics(RequestMetrics.newBuilder()
                        .setTimeToFirstTokenMs(firstMillis)
                        .setSpecNumDrafts(2)
                        .setSpecNumDraftTokens(8)
                        .setSpecNumAcceptedTokens(3)
                        .build())
                .setSourceTopic("prompts")
                .setSourcePartition(0)
                .setSourceOffset(offset)
                .build();
        return new TopicTail.Item("completions", at, c);
    }

    @Test
    void ratesComeFromTheStampsOfTheRecords() {
        tally.sent("prompts", List.of(new PromptFeed.Sent(0, 0, 1_000), new PromptFeed.Sent(0, 1, 1_200)));
        assertThat(tally.tokensPerSecond()).isZero();
        tally.take(completion(0, 2_000, 100, 40));
        assertThat(tally.tokensPerSecond()).isEqualTo(100);
        tally.take(completion(1, 3_000, 300, 80));
        assertThat(tally.tokensPerSecond()).isEqualTo(200);
        assertThat(tally.open()).isZero();
        assertThat(tally.latency(0.5)).isEqualTo(1.0);
        assertThat(tally.latency(0.99)).isEqualTo(1.8);
        assertThat(tally.firstToken(0.5)).isEqualTo(0.04);
        assertThat(tally.speculation()).containsExactly(4, 16, 6);
    }

    @Test
    void everyRecordHasOneOutcomeAndAnErrorIsNoText() {
        tally.sent("prompts", List.of(new PromptFeed.Sent(0, 0, 0), new PromptFeed.Sent(1, 0, 0)));
        TopicTail.Item error = completion(0, 10, 0, 1);
        ((Completion) error.value()).setError(new Failure("INVALID_PARAM", "top_p", "Wrong.", 400));
        tally.take(error);
        tally.take(error);
        assertThat(tally.open()).isEqualTo(1);
        tally.take(new TopicTail.Item("prompts.dlq", 20, new TopicTail.Letter("BAD_JSON", "decode", "No.", 1, 0, "")));
        assertThat(tally.open()).isZero();
        assertThat(tally.texts()).isZero();
        assertThat(tally.records("prompts.dlq")).isEqualTo(1);
        assertThat(tally.records("prompts")).isEqualTo(2);
        assertThat(tally.latency(0.5)).isNaN();
    }
}
