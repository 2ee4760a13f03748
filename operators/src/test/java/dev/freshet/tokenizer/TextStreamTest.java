package dev.freshet.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.freshet.engine.StopMatch;
import dev.freshet.request.SamplingParams;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class TextStreamTest {

    private static final Tokenizer TOKENIZER = Tokenizers.byteLevel();
    private static final int[] NO_PROMPT = {};

    private static SamplingParams stop(String... strings) {
        return SamplingParams.builder().stop(List.of(strings)).build();
    }

    private static TextStream stream(SamplingParams params) {
        return new TextStream(TOKENIZER, params, NO_PROMPT, Set.of(1));
    }

    /** Feeds tokens of single characters, so that every border of the text is a border of tokens. */
    private static @Nullable StopMatch feed(TextStream stream, String text) {
        StopMatch match = null;
        for (int i = 0; i < text.length() && match == null; i++) {
            for (int id : TOKENIZER.encodeText(text.substring(i, i + 1))) {
                match = stream.accept(id);
            }
        }
        return match;
    }

    @Test
    void stopStringAcrossTokensCutsTheText() {
        TextStream stream = stream(stop("END", "\n\n"));
        assertThat(feed(stream, "one two ENterE")).isNull();
        assertThat(feed(stream, "ND more")).isEqualTo(new StopMatch("END", null));
        stream.finish();
        assertThat(stream.text()).isEqualTo("one two ENterE".substring(0, 13));
        assertThat(stream.match()).isEqualTo(new StopMatch("END", null));
        assertThat(stream.drain()).isEqualTo("one two ENter");
        assertThat(stream.drain()).isEmpty();
    }

    @Test
    void onlyWhatCouldBecomeAStopStringIsHeldBack() {
        TextStream stream = stream(stop("abcd", "bcx"));
        feed(stream, "zab");
        assertThat(stream.drain()).isEqualTo("z");
        feed(stream, "c");
        assertThat(stream.drain()).isEmpty();
        feed(stream, "y");
        assertThat(stream.drain()).isEqualTo("abcy");
        feed(stream, "ab");
        stream.finish();
        assertThat(stream.drain()).isEqualTo("ab");
        assertThat(stream.text()).isEqualTo("zabcyab");
        assertThat(stream.drained()).isEqualTo(7);
    }

    @Test
    void includedStopStringEndsTheText() {
        TextStream stream = stream(stop("ab").toBuilder().includeStop(true).build());
        feed(stream, "xa");
        assertThat(stream.drain()).isEqualTo("xa");
        assertThat(feed(stream, "bc")).isEqualTo(new StopMatch("ab", null));
        stream.finish();
        assertThat(stream.text()).isEqualTo("xab");
        assertThat(stream.drain()).isEqualTo("b");
    }

    @Test
    void textAfterTheStopStringInTheSameTokenIsCut() {
        int the = TOKENIZER.idOf("\u0120the").orElseThrow();
        for (boolean include : new boolean[] {false, true}) {
            TextStream stream =
                    stream(stop(" t").toBuilder().includeStop(include).build());
            assertThat(stream.accept(the)).isEqualTo(new StopMatch(" t", null));
            assertThat(stream.text()).isEqualTo(include ? " t" : "");
        }
    }

    @Test
    void firstToEndWinsAndOfThoseTheLongest() {
        assertThat(feed(stream(stop("b", "ab")), "xaby")).isEqualTo(new StopMatch("ab", null));
        assertThat(feed(stream(stop("abcd", "c")), "abcd")).isEqualTo(new StopMatch("c", null));
    }

    @Test
    void stopStringsDoNotCountBeforeMinTokens() {
        SamplingParams params = stop("a").toBuilder().minTokens(3).build();
        TextStream stream = stream(params);
        assertThat(feed(stream, "aaa")).isNull();
        assertThat(feed(stream, "xa")).isEqualTo(new StopMatch("a", null));
        assertThat(stream.text()).isEqualTo("aaax");
        TextStream spanning = stream(stop("aab").toBuilder().minTokens(3).build());
        assertThat(feed(spanning, "xaab")).isEqualTo(new StopMatch("aab", null));
        assertThat(spanning.text()).isEqualTo("x");
    }

    @Test
    void stopTokensHaveNoTextUnlessIncluded() {
        int river = TOKENIZER.idOf("\u0120river").orElseThrow();
        for (boolean include : new boolean[] {false, true}) {
            SamplingParams params =
                    SamplingParams.builder().includeStop(include).build();
            TextStream stream = new TextStream(TOKENIZER, params, NO_PROMPT, Set.of(river));
            feed(stream, "a");
            assertThat(stream.accept(river)).isNull();
            stream.finish();
            assertThat(stream.text()).isEqualTo(include ? "a river" : "a");
        }
    }

    @Test
    void specialTokensShowOnlyWhenAskedFor() {
        SamplingParams show = SamplingParams.builder().skipSpecialTokens(false).build();
        TextStream shown = new TextStream(TOKENIZER, show, NO_PROMPT, Set.of());
        TextStream hidden = stream(SamplingParams.builder().build());
        for (TextStream stream : List.of(shown, hidden)) {
            feed(stream, "a");
            stream.accept(3);
            stream.finish();
        }
        assertThat(shown.text()).isEqualTo("a<|im_end|>");
        assertThat(hidden.text()).isEqualTo("a");
    }

    @Test
    void heldBackBytesAppearAtTheEnd() {
        TextStream stream = stream(stop("\ufffdx"));
        int[] ids = TOKENIZER.encodeText("\u4f60");
        stream.accept(ids[0]);
        assertThat(stream.drain()).isEmpty();
        stream.finish();
        assertThat(stream.drain()).isEqualTo("\ufffd");
        assertThat(stream.text()).isEqualTo("\ufffd");
    }

    @Test
    void emptyStopStringsAreIgnored() {
        TextStream stream = stream(stop("", "b"));
        assertThat(feed(stream, "a")).isNull();
        assertThat(feed(stream, "b")).isEqualTo(new StopMatch("b", null));
    }

    /** What the rules say, by trying every end in turn. */
    private static String expected(String text, List<String> stops, boolean include) {
        for (int end = 1; end <= text.length(); end++) {
            String best = "";
            for (String stop : stops) {
                if (text.substring(0, end).endsWith(stop) && stop.length() > best.length()) {
                    best = stop;
                }
            }
            if (!best.isEmpty()) {
                return text.substring(0, include ? end : end - best.length());
            }
        }
        return text;
    }

    @Property(tries = 3000, seed = "61")
    void anyTokensAnyStopsAgreeWithTheRules(@ForAll long seed) {
        SplittableRandom r = new SplittableRandom(seed);
        List<String> stops = new ArrayList<>();
        for (int i = r.nextInt(4); i > 0; i--) {
            stops.add(letters(r, 1 + r.nextInt(4)));
        }
        boolean include = r.nextBoolean();
        int[] ids = TOKENIZER.encodeText(letters(r, r.nextInt(40)));
        SamplingParams params =
                SamplingParams.builder().stop(stops).includeStop(include).build();
        TextStream stream = stream(params);
        TextStream restored = stream(params);
        int cut = ids.length == 0 ? 0 : r.nextInt(ids.length);
        restored.replay(java.util.Arrays.copyOf(ids, cut));
        StringBuilder deltas = new StringBuilder();
        for (int i = 0; i < ids.length; i++) {
            stream.accept(ids[i]);
            deltas.append(stream.drain());
            if (i >= cut) {
                restored.accept(ids[i]);
            }
        }
        stream.finish();
        restored.finish();
        deltas.append(stream.drain());
        String expected = expected(TOKENIZER.decode(ids, true), stops, include);
        assertThat(stream.text()).isEqualTo(expected);
        assertThat(deltas.toString()).isEqualTo(expected);
        assertThat(restored.text()).isEqualTo(expected);
        assertThat(restored.drain()).isEqualTo(expected);
    }

    private static String letters(SplittableRandom r, int n) {
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < n; i++) {
            out.append("ab ".charAt(r.nextInt(3)));
        }
        return out.toString();
    }
}
