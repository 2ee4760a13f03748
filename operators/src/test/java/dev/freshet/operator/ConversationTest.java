package dev.freshet.operator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.freshet.schema.Completion;
import dev.freshet.schema.Prompt;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.util.clock.ManualClock;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

/** Turns of sessions: what they run, in which order, and what a session survives. The hash chain tells any state from any other. */
class ConversationTest {

    private static Prompt turn(String session, String id, String text, int tokens) {
        Prompt prompt = ServingBench.prompt(id, text, tokens);
        prompt.setSessionId(session);
        prompt.setReturnTokenIds(true);
        return prompt;
    }

    /** The tokens of one prompt with all texts so far, answers included. */
    private static int[] joined(int[] before, String text) {
        int[] own = LetterTexts.ids(text);
        int[] all = Arrays.copyOf(before, before.length + own.length);
        System.arraycopy(own, 0, all, before.length, own.length);
        return all;
    }

    /** The conversation after a turn. */
    private static int[] after(int[] before, String text, int tokens) {
        int[] prompt = joined(before, text);
        int[] answer = HashChainModel.continuation(prompt, tokens, LetterTexts.VOCABULARY);
        int[] all = Arrays.copyOf(prompt, prompt.length + tokens);
        System.arraycopy(answer, 0, all, prompt.length, tokens);
        return all;
    }

    private static String answer(int[] before, String text, int tokens) {
        return LetterTexts.text(HashChainModel.continuation(joined(before, text), tokens, LetterTexts.VOCABULARY));
    }

    private static String code(Completion c) {
        return c.getError() == null ? "" : c.getError().getCode();
    }

    private static OperatorOptions options(ConversationOptions kept) {
        return ServingBench.options(2).withConversations(kept);
    }

    @Test
    void aTurnRunsItsOwnTokensAndAnswersAsIfAllHadBeenSent() {
        ServingBench bench = new ServingBench(2);
        int[] run = new int[1];
        bench.chain.onToken(token -> run[0]++);
        int[] all = {};
        for (int i = 0; i < 5; i++) {
            String text = "turn".repeat(1 + i);
            Prompt prompt = turn("s", "r" + i, text, 7);
            prompt.setSpeculative(i % 2 == 0 ? "off" : "lookup");
            run[0] = 0;
            bench.arrive(prompt);
            bench.drain();
            Completion c = bench.completion("r" + i);
            assertThat(c.getText()).isEqualTo(answer(all, text, 7));
            assertThat(c.getUsage().getPromptTokens()).isEqualTo(all.length + text.length());
            assertThat(c.getUsage().getCachedTokens()).isEqualTo(Math.max(0, all.length - 1));
            if (i % 2 == 0) {
                // Own tokens, the last one of the answer before, and all tokens of this answer but the last.
                assertThat(run[0]).isEqualTo(text.length() + (i == 0 ? 0 : 1) + 6);
            }
            all = after(all, text, 7);
        }
    }

    @Test
    void aSessionKnowsNothingOfOthers() {
        ServingBench bench = new ServingBench(2);
        bench.arrive(turn("a", "a1", "one", 4));
        bench.arrive(turn("b", "b1", "two", 4));
        bench.drain();
        bench.arrive(turn("a", "a2", "x", 4));
        bench.arrive(turn("b", "b2", "x", 4));
        bench.arrive(ServingBench.prompt("none", "x", 4));
        bench.drain();
        assertThat(bench.completion("a2").getText()).isEqualTo(answer(after(new int[0], "one", 4), "x", 4));
        assertThat(bench.completion("b2").getText()).isEqualTo(answer(after(new int[0], "two", 4), "x", 4));
        assertThat(bench.completion("none").getText()).isEqualTo(answer(new int[0], "x", 4));
    }

    @Nested
    class Order {

        @Test
        void turnsRunOneAfterTheOther() {
            ServingBench bench = new ServingBench(4);
            for (int i = 0; i < 4; i++) {
                Prompt prompt = turn("s", "r" + i, "abc", 5);
                // Priority is between sessions; within one it would make nonsense of the text.
                prompt.setPriority(-i);
                bench.arrive(prompt);
            }
            bench.step();
            bench.step();
            assertThat(bench.serving.busy()).isEqualTo(1);
            bench.drain();
            int[] all = {};
            for (int i = 0; i < 4; i++) {
                assertThat(bench.completions().get(i).getId()).isEqualTo("r" + i);
                assertThat(bench.completion("r" + i).getText()).isEqualTo(answer(all, "abc", 5));
                all = after(all, "abc", 5);
            }
        }

        @Test
        void moreThanMayWaitAreRefused() {
            ServingBench bench = new ServingBench(
                    options(new ConversationOptions(Duration.ofHours(1), 10, 1 << 20, 100, 2)), "fingerprint-1");
            for (int i = 0; i < 5; i++) {
                bench.arrive(turn("s", "r" + i, "abc", 5));
            }
            bench.drain();
            assertThat(code(bench.completion("r2"))).isEmpty();
            for (String refused : List.of("r3", "r4")) {
                assertThat(code(bench.completion(refused))).isEqualTo("OVERLOADED");
                assertThat(bench.completion(refused).getError().getMessage())
                        .contains("at most 2 turns", "Send a turn when");
            }
        }

        @Test
        void waitingTurnsHoldTheStreamBack() {
            ServingBench bench = new ServingBench(1);
            int sent = 0;
            while (bench.serving.hasRoom()) {
                bench.arrive(turn("s" + sent % 2, "r" + sent++, "room", 5));
            }
            assertThat(sent).isEqualTo(ServingBench.options(1).queue());
            bench.drain();
            assertThat(bench.completions()).hasSize(sent).allMatch(c -> c.getError() == null);
        }

        @Test
        void aCancelledTurnLeavesTheSessionAsItWas() {
            ServingBench bench = new ServingBench(1);
            bench.arrive(turn("s", "first", "abc", 5));
            bench.drain();
            bench.arrive(turn("s", "runs", "long", 50));
            bench.arrive(turn("s", "waits", "no", 5));
            bench.arrive(turn("s", "last", "xyz", 5));
            bench.step();
            bench.step();
            bench.cancel("waits");
            bench.cancel("runs");
            bench.drain();
            assertThat(code(bench.completion("waits"))).isEqualTo("CANCELLED");
            assertThat(code(bench.completion("runs"))).isEqualTo("CANCELLED");
            assertThat(bench.completion("runs").getText()).isNotEmpty();
            assertThat(bench.completion("last").getText()).isEqualTo(answer(after(new int[0], "abc", 5), "xyz", 5));
        }

        @Test
        void aLateTurnLetsTheNextOneGoOn() {
            ServingBench bench = new ServingBench(1);
            Prompt slow = turn("s", "slow", "abc", 100);
            slow.setDeadlineMs(100L);
            Prompt waits = turn("s", "waits", "abc", 5);
            waits.setDeadlineMs(50L);
            bench.arrive(slow);
            bench.arrive(waits);
            bench.arrive(turn("s", "next", "xyz", 5));
            bench.drain();
            assertThat(code(bench.completion("slow"))).isEqualTo("DEADLINE_EXCEEDED");
            assertThat(code(bench.completion("waits"))).isEqualTo("DEADLINE_EXCEEDED");
            assertThat(bench.completion("waits").getText()).isEmpty();
            assertThat(bench.completion("next").getText()).isEqualTo(answer(new int[0], "xyz", 5));
        }
    }

    @Nested
    class Refusals {

        private ServingBench talked(OperatorOptions options, String fingerprint) {
            ServingBench before = new ServingBench(2);
            before.arrive(turn("s", "first", "abc", 5));
            before.drain();
            ServingBench bench = new ServingBench(options, fingerprint);
            bench.sessions.all.putAll(before.sessions.all);
            return bench;
        }

        private void assertConflict(ServingBench bench, Prompt prompt, String expected) {
            bench.arrive(prompt);
            bench.drain();
            Completion c = bench.completion(prompt.getId());
            assertThat(code(c)).isEqualTo("SESSION_CONFLICT");
            assertThat(c.getError().getStatus()).isEqualTo(409);
            assertThat(c.getError().getMessage())
                    .contains(expected, "Open another session")
                    .doesNotContain("secret");
        }

        @Test
        void ofAnotherNumberOfTurns() {
            ServingBench bench = talked(ServingBench.options(2), "fingerprint-1");
            for (long number : new long[] {1, 3, 100}) {
                Prompt prompt = turn("s", "n" + number, "secret", 5);
                prompt.setSessionTurn(number);
                assertConflict(bench, prompt, "expected turn 2 of its session, got turn " + number);
            }
            Prompt lost = turn("gone", "lost", "secret", 5);
            lost.setSessionTurn(2L);
            assertConflict(bench, lost, "expected turn 1 of its session, got turn 2");
            Prompt right = turn("s", "right", "xyz", 5);
            right.setSessionTurn(2L);
            bench.arrive(right);
            bench.drain();
            assertThat(bench.completion("right").getText()).isEqualTo(answer(after(new int[0], "abc", 5), "xyz", 5));
        }

        @Test
        void ofAnotherModelUnlessAllowed() {
            ServingBench strict = talked(ServingBench.options(2), "fingerprint-2");
            assertConflict(strict, turn("s", "r", "secret", 5), "expected a session of the model that runs");
            ServingBench lenient = talked(ServingBench.options(2).withModelChange(true), "fingerprint-2");
            lenient.arrive(turn("s", "r", "xyz", 5));
            lenient.drain();
            assertThat(lenient.completion("r").getText()).isEqualTo(answer(after(new int[0], "abc", 5), "xyz", 5));
            assertThat(lenient.completion("r").getUsage().getCachedTokens()).isZero();
        }

        @Test
        void ofTokensThatAreDamagedAndTheSessionIsFree() {
            ServingBench bench = talked(ServingBench.options(2), "fingerprint-1");
            bench.sessions.all.put("s", Conversation.UNREADABLE);
            assertConflict(bench, turn("s", "r", "secret", 5), "got damaged ones");
            bench.arrive(turn("s", "again", "xyz", 5));
            bench.drain();
            assertThat(bench.completion("again").getText()).isEqualTo(answer(new int[0], "xyz", 5));
        }

        @Test
        void ofMoreTokensThanASessionMayHave() {
            ServingBench bench =
                    talked(options(new ConversationOptions(Duration.ofHours(1), 10, 1 << 20, 20, 2)), "fingerprint-1");
            bench.arrive(turn("s", "long", "x".repeat(13), 5));
            bench.arrive(turn("s", "fits", "x".repeat(12), 5));
            bench.drain();
            Completion c = bench.completion("long");
            assertThat(code(c)).isEqualTo("PROMPT_TOO_LONG");
            assertThat(c.getError().getMessage()).contains("at most 20 tokens, got 21", "Open another session");
            assertThat(code(bench.completion("fits"))).isEmpty();
        }

        @Test
        void whereNoConversationsAreKept() {
            ServingBench bench = new ServingBench(ServingBench.options(2).withConversations(null), "fingerprint-1");
            bench.arrive(turn("s", "r", "abc", 5));
            assertThat(code(bench.completion("r"))).isEqualTo("INVALID_PARAM");
            assertThat(bench.completion("r").getError().getMessage()).contains("Set conversations.enabled");
        }
    }

    @Test
    void theLastTurnFreesTheSession() {
        ServingBench bench = new ServingBench(2);
        bench.arrive(turn("s", "first", "abc", 5));
        Prompt last = turn("s", "last", "bye", 5);
        last.setSessionEnd(true);
        bench.arrive(last);
        bench.arrive(turn("s", "anew", "xyz", 5));
        bench.drain();
        assertThat(bench.completion("last").getText()).isEqualTo(answer(after(new int[0], "abc", 5), "bye", 5));
        assertThat(bench.completion("anew").getText()).isEqualTo(answer(new int[0], "xyz", 5));
        assertThat(bench.sessions.all).hasSize(1);
    }

    /** On Flink's harness: keyed state, checkpoints, changes of parallelism, time. */
    @Nested
    class Kept {

        private final ManualClock clock = new ManualClock(1_000_000_000L);
        private final List<Completion> seen = new ArrayList<>();
        private long offset;

        private void feed(OperatorBench bench, Prompt prompt) throws Exception {
            Origin origin = new Origin("prompts", 0, offset++, 5, null, List.of());
            byte[] value = prompt.toString().getBytes(StandardCharsets.UTF_8);
            bench.feed(bench.subtask(prompt.getSessionId()), new Inbound.Prompt(prompt, value, origin));
        }

        private void drain(OperatorBench bench) throws Exception {
            bench.drain();
            collect(bench);
        }

        private void collect(OperatorBench bench) {
            bench.outcomes().forEach(o -> seen.add(((Outbound.Completed) o).completion()));
        }

        private Completion completion(String id) {
            return seen.stream().filter(c -> c.getId().equals(id)).findFirst().orElseThrow();
        }

        private OperatorBench start(int parallelism, List<OperatorSubtaskState> state) throws Exception {
            return OperatorBench.start(ServingBench.options(16), parallelism, state, clock);
        }

        @Test
        void betweenAndInTheMiddleOfTurnsWhateverTheParallelism() throws Exception {
            int sessions = 20;
            int[][] all = new int[sessions][0];
            List<OperatorSubtaskState> state = List.of();
            int[] plan = {1, 3, 2, 5, 1};
            for (int round = 0; round < plan.length; round++) {
                try (OperatorBench bench = start(plan[round], state)) {
                    // What the round before left in the middle of its texts, and waiting.
                    bench.mail(0);
                    drain(bench);
                    for (int s = 0; s < sessions; s++) {
                        for (int turn = 0; turn < 2 && round > 0; turn++) {
                            Completion c = completion("s" + s + "-" + (round - 1) + "-" + turn);
                            assertThat(c.getText()).isEqualTo(answer(all[s], "word", 6));
                            assertThat(c.getMetrics().getRecomputedTokens()).isZero();
                            assertThat(c.getUsage().getCachedTokens()).isEqualTo(Math.max(0, all[s].length - 1));
                            all[s] = after(all[s], "word", 6);
                        }
                    }
                    for (int turn = 0; turn < 2 && round < plan.length - 1; turn++) {
                        for (int s = 0; s < sessions; s++) {
                            String session = "s" + s;
                            feed(bench, turn(session, session + "-" + round + "-" + turn, "word", 6));
                        }
                    }
                    for (int m = 0; m < 4 * plan[round]; m++) {
                        bench.mail(m % plan[round]);
                    }
                    collect(bench);
                    state = bench.snapshot(round);
                }
            }
            assertThat(seen).hasSize(2 * sessions * (plan.length - 1));
        }

        @Test
        void forItsTimeToLiveEvenAcrossARestart() throws Exception {
            OperatorOptions options = options(new ConversationOptions(Duration.ofMinutes(10), 100, 1 << 20, 100, 2));
            List<OperatorSubtaskState> state;
            try (OperatorBench bench = OperatorBench.start(options, 1, List.of(), clock)) {
                feed(bench, turn("old", "old1", "abc", 5));
                drain(bench);
                clock.advanceTime(Duration.ofMinutes(6));
                feed(bench, turn("new", "new1", "abc", 5));
                drain(bench);
                state = bench.snapshot(1);
            }
            clock.advanceTime(Duration.ofMinutes(6));
            try (OperatorBench bench = OperatorBench.start(options, 2, state, clock)) {
                Prompt lost = turn("old", "lost", "xyz", 5);
                lost.setSessionTurn(2L);
                feed(bench, lost);
                feed(bench, turn("old", "old2", "xyz", 5));
                feed(bench, turn("new", "new2", "xyz", 5));
                drain(bench);
            }
            assertThat(code(completion("lost"))).isEqualTo("SESSION_CONFLICT");
            assertThat(completion("old2").getText()).isEqualTo(answer(new int[0], "xyz", 5));
            assertThat(completion("old2").getUsage().getCachedTokens()).isZero();
            assertThat(completion("new2").getText()).isEqualTo(answer(after(new int[0], "abc", 5), "xyz", 5));
            assertThat(completion("new2").getUsage().getCachedTokens()).isEqualTo(7);
        }

        @Test
        void upToTheQuotaTheLeastRecentlyUsedOnesGoFirst() throws Exception {
            // Eight tokens and the four floats of the hash chain: 48 bytes.
            for (ConversationOptions quota : List.of(
                    new ConversationOptions(Duration.ofHours(1), 2, 1 << 20, 100, 2),
                    new ConversationOptions(Duration.ofHours(1), 100, 2 * 48, 100, 2))) {
                seen.clear();
                try (OperatorBench bench = OperatorBench.start(options(quota), 1, List.of(), clock)) {
                    for (String session : List.of("a", "b", "c")) {
                        feed(bench, turn(session, session + 1, "abc", 5));
                        drain(bench);
                        clock.advanceTime(Duration.ofSeconds(1));
                    }
                    for (String session : List.of("c", "b", "a")) {
                        Prompt last = turn(session, session + 2, "xyz", 5);
                        last.setSessionEnd(true);
                        feed(bench, last);
                        drain(bench);
                    }
                }
                assertThat(completion("a2").getUsage().getCachedTokens()).isZero();
                assertThat(completion("b2").getUsage().getCachedTokens()).isEqualTo(7);
                assertThat(completion("c2").getUsage().getCachedTokens()).isEqualTo(7);
            }
        }

        @Test
        void withTurnsOfAnotherModelIsNotRestored() throws Exception {
            List<OperatorSubtaskState> state;
            try (OperatorBench bench = start(1, List.of())) {
                feed(bench, turn("s", "r", "abc", 50));
                bench.mail(0);
                bench.mail(0);
                state = bench.snapshot(1);
            }
            OperatorOptions allowed = ServingBench.options(2).withModelChange(true);
            try (OperatorBench bench = OperatorBench.start(allowed, 1, state, clock, "fingerprint-2")) {
                drain(bench);
            }
            assertThat(completion("r").getText()).isEqualTo(answer(new int[0], "abc", 50));
            OperatorOptions off = ServingBench.options(2).withConversations(null);
            List<OperatorSubtaskState> held = Objects.requireNonNull(state);
            assertThatThrownBy(() -> OperatorBench.start(off, 1, held, clock))
                    .rootCause()
                    .hasMessageContaining("Set conversations.enabled");
        }
    }
}
