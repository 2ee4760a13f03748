package dev.freshet.job;

import dev.freshet.schema.Prompt;
import dev.freshet.wire.RecordType;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Many requests of mixed length and sort with one bad record in ten, the same on every call. */
final class Workload {

    private static final String[] WORDS = {"river", "the", "of", "stone", "and", "a", "light", "in", "old", "house"};
    private static final int BAD_EVERY = 10;
    private static final int LONGEST = 48;

    private Workload() {}

    /** How many of so many records are bad. */
    static int bad(int count) {
        return count / BAD_EVERY;
    }

    /** Returns the records. */
    static List<byte @Nullable []> records(int count, JobOptions options) {
        List<byte @Nullable []> records = new ArrayList<>();
        int bad = 0;
        for (int i = 0; i < count; i++) {
            records.add(i % BAD_EVERY == BAD_EVERY - 1 ? bad(bad++, i, options) : encoded(good(i), options));
        }
        return records;
    }

    private static Prompt.Builder good(int i) {
        StringBuilder text = new StringBuilder();
        for (int w = 0; w <= i % 37; w++) {
            text.append(w == 0 ? "" : " ").append(WORDS[(i * 7 + w * w) % WORDS.length]);
        }
        Prompt.Builder prompt = Prompt.newBuilder()
                .setId("r" + i)
                .setPrompt(text.toString())
                .setMaxTokens((long) 1 + (i * 13) % LONGEST)
                .setReturnTokenIds(true)
                .setStream(i % 2 == 0);
        switch (i % 4) {
            case 0 -> prompt.setTemperature(0.0);
            case 1 -> prompt.setTemperature(0.9).setTopP(0.9);
            case 2 -> prompt.setTemperature(0.0).setStop(List.of("e ", "o"));
            default -> prompt.setTemperature(1.2).setTopK(40L).setSeed((long) i).setRepetitionPenalty(1.1);
        }
        return prompt;
    }

    /** Half of these are dead letters and half are errors, for they can be read but not served. */
    private static byte @Nullable [] bad(int number, int i, JobOptions options) {
        return switch (number % 6) {
            case 0 -> "no request".getBytes(StandardCharsets.UTF_8);
            case 1 -> encoded(good(i).setTemperature(9.0), options);
            case 2 -> null;
            case 3 -> encoded(good(i).setPrompt(""), options);
            case 4 -> new byte[] {'{', '"', (byte) 0xc3, '(', '"', '}'};
            default -> encoded(good(i).setMaxTokens(-5L), options);
        };
    }

    private static byte[] encoded(Prompt.Builder prompt, JobOptions options) {
        return options.input()
                .format()
                .encoder(RecordType.PROMPT, options.input().topic())
                .encode(prompt.build());
    }
}
