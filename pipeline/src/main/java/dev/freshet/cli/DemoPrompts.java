package dev.freshet.cli;

import dev.freshet.job.JobOptions;
import dev.freshet.schema.Message;
import dev.freshet.schema.Prompt;
import dev.freshet.wire.RecordEncoder;
import dev.freshet.wire.RecordType;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** The records that the demo feeds: requests of every sort, and a few that no job can serve. */
final class DemoPrompts {

    private static final String[] OPENINGS = {
        "Once upon a time, there was a small fox who",
        "Tom found a shiny red stone in the garden. He",
        "The old boat was tired of the sea.",
        "One rainy day, Mia and her brother",
        "A little bird could not fly yet. Every morning",
        "There was a bear who liked to count the stars.",
        "In the kitchen, Grandma baked a big cake. Then",
        "The moon looked down at the sleepy town and",
        "Ben had a kite with a long blue tail.",
        "Deep in the forest lived a frog who was afraid of water.",
        "Anna wanted to give her friend a present, but",
        "The train stopped on the hill and would not go on.",
        "A snail and a rabbit had a race.",
        "Every night the toys in the box began to whisper.",
        "Max planted a seed and waited.",
        "The wind took away Lucy's hat.",
    };

    private static final String[] QUESTIONS = {
        "Tell me a story about a cat and a cloud.",
        "What did the little duck see at the pond?",
        "Can you tell me why the dragon was sad?",
        "Please tell me about a brave mouse.",
    };

    private static final int KINDS = 6;
    private static final int SHORTEST = 60;
    private static final int LENGTHS = 5;
    private static final int LENGTH_STEP = 20;

    private DemoPrompts() {}

    /**
     * One record of the demo.
     *
     * @param kind what it shows
     * @param text what the model continues, for the screen; empty for a bad record
     * @param value the record's bytes
     */
    record Sample(String kind, String text, byte[] value) {}

    /**
     * Returns so many good requests with the bad records spread among them.
     *
     * @param options say how prompts are written
     */
    static List<Sample> of(int count, JobOptions options) {
        RecordEncoder<Prompt> encoder = options.input()
                .format()
                .encoder(RecordType.PROMPT, options.input().topic());
        List<Sample> samples = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            samples.add(good(i, encoder));
        }
        List<Sample> bad = bad(encoder);
        for (int i = 0; i < bad.size(); i++) {
            samples.add(Math.min(samples.size(), (i + 1) * (count + bad.size()) / (bad.size() + 1)), bad.get(i));
        }
        return samples;
    }

    private static Sample good(int i, RecordEncoder<Prompt> encoder) {
        Prompt.Builder request = Prompt.newBuilder()
                .setMaxTokens((long) SHORTEST + LENGTH_STEP * (i % LENGTHS))
                .setStream(i % 2 == 0);
        String opening = OPENINGS[i % OPENINGS.length];
        String kind;
        switch (i % KINDS) {
            case 0 -> {
                kind = "greedy";
                request.setTemperature(0.0);
            }
            case 1 -> {
                kind = "sampled";
                request.setTemperature(0.8).setTopP(0.95).setSeed((long) i);
            }
            case 2 -> {
                kind = "stop-string";
                request.setTemperature(0.0).setStop(List.of(". ", "! ", "? "));
            }
            case 3 -> {
                kind = "top-k";
                request.setTemperature(1.0).setTopK(20L).setMinP(0.05).setSeed((long) i);
            }
            case 4 -> {
                kind = "chat";
                request.setTemperature(0.0);
            }
            default -> {
                kind = "penalties";
                request.setTemperature(0.7)
                        .setRepetitionPenalty(1.1)
                        .setFrequencyPenalty(0.2)
                        .setSeed((long) i);
            }
        }
        String text = opening;
        if (kind.equals("chat")) {
            text = QUESTIONS[i / KINDS % QUESTIONS.length];
            request.setMessages(List.of(new Message("user", text)));
        } else {
            request.setPrompt(text);
        }
        request.setId("%s-%03d".formatted(kind, i + 1));
        return new Sample(kind, text, encoder.encode(request.build()));
    }

    private static List<Sample> bad(RecordEncoder<Prompt> encoder) {
        Prompt hot = Prompt.newBuilder()
                .setId("too-hot")
                .setPrompt(OPENINGS[0])
                .setTemperature(9.0)
                .build();
        return List.of(
                new Sample("not a request", "", "this is no request".getBytes(StandardCharsets.UTF_8)),
                new Sample("bad parameter", "", encoder.encode(hot)),
                new Sample("not text", "", new byte[] {'{', '"', (byte) 0xc3, (byte) 0x28, '"', '}'}));
    }
}
