package dev.freshet.operator;

import dev.freshet.engine.SequenceSnapshot;
import dev.freshet.engine.SequenceStats;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SpeculationMode;
import dev.freshet.sampling.Logprobs;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32C;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.jspecify.annotations.Nullable;

/**
 * The stored form of {@link InFlight}. Two parts, each with its length in front and a CRC32C behind: the request, then its
 * progress. Restored bytes are not trusted: a damaged progress is dropped and the text begins again from the prompt, which gives
 * the same text; a damaged request fails the restore. Every released version stays readable. Confined to one thread.
 */
final class InFlightSerializer implements SimpleVersionedSerializer<InFlight> {

    static final int VERSION = 1;

    @Override
    public int getVersion() {
        return VERSION;
    }

    @Override
    public byte[] serialize(InFlight record) {
        ByteWriter out = new ByteWriter();
        sealed(request(record), out);
        sealed(progress(record), out);
        return out.toBytes();
    }

    @Override
    public InFlight deserialize(int version, byte[] bytes) throws IOException {
        if (version != VERSION) {
            throw new IOException("Cannot restore a sequence: expected state version " + VERSION + ", got " + version
                    + ". Run the Freshet that wrote the checkpoint, or a newer one.");
        }
        ByteReader in = new ByteReader(bytes);
        ByteReader request = unsealed(in);
        if (request == null) {
            throw new IOException(
                    "Cannot restore a sequence: expected the checksum of its request to match, got another."
                            + " Restore an older checkpoint.");
        }
        ByteReader progress = unsealed(in);
        in.end();
        return read(request, progress);
    }

    private static byte[] request(InFlight record) {
        ByteWriter out = new ByteWriter();
        Ticket t = record.ticket();
        EnvelopeBytes.write(t.origin(), out);
        out.text(t.id())
                .text(t.key())
                .flag(t.chat())
                .flag(t.stream())
                .flag(t.returnTokenIds())
                .text(t.echo())
                .int64(t.arrivedMillis())
                .flag(t.deadlineMillis() != null)
                .int64(t.deadlineMillis() == null ? 0 : t.deadlineMillis());
        SequenceSnapshot s = record.sequence();
        out.text(s.id()).ints(s.prompt()).int32(number(s.speculation())).int32(s.priority());
        writeParams(s.params(), out);
        return out.toBytes();
    }

    private static void writeParams(SamplingParams p, ByteWriter out) {
        out.int32(p.maxTokens())
                .int32(p.minTokens())
                .real(p.temperature())
                .real(p.topP())
                .int32(p.topK())
                .real(p.minP())
                .real(p.repetitionPenalty())
                .real(p.presencePenalty())
                .real(p.frequencyPenalty());
        out.int32(p.logitBias().size());
        new TreeMap<>(p.logitBias()).forEach((token, bias) -> out.int32(token).real(bias));
        out.int32(p.stop().size());
        p.stop().forEach(out::text);
        out.ints(p.stopTokenIds().stream().mapToInt(Integer::intValue).toArray())
                .flag(p.ignoreEos())
                .flag(p.includeStop())
                .flag(p.skipSpecialTokens())
                .int32(p.logprobs())
                .int64(p.seed());
    }

    private static byte[] progress(InFlight record) {
        ByteWriter out = new ByteWriter();
        SequenceStats s = record.sequence().stats();
        out.text(record.model())
                .ints(record.sequence().output())
                .int32(s.promptTokens())
                .int32(s.generatedTokens())
                .int32(s.drafts())
                .int32(s.draftTokens())
                .int32(s.acceptedDraftTokens())
                .int32(s.resumed())
                .int32(s.recomputedTokens())
                .int64(record.chunks())
                .real(record.queuedMillis())
                .real(record.firstTokenMillis())
                .int32(record.sequence().logprobs().size());
        for (Logprobs position : record.sequence().logprobs()) {
            out.int32(position.token()).real(position.logprob()).ints(position.topTokens());
            for (double logprob : position.topLogprobs()) {
                out.real(logprob);
            }
        }
        return out.toBytes();
    }

    private static InFlight read(ByteReader in, @Nullable ByteReader progress) throws IOException {
        Origin origin = EnvelopeBytes.readOrigin(in);
        Ticket ticket = new Ticket(
                origin,
                in.presentText(),
                in.presentText(),
                in.flag(),
                in.flag(),
                in.flag(),
                in.text(),
                in.int64(),
                readOptional(in));
        String id = in.presentText();
        int[] prompt = in.ints();
        SpeculationMode speculation = speculation(in.int32());
        int priority = in.int32();
        SamplingParams params = readParams(in);
        in.end();
        if (progress == null) {
            SequenceSnapshot fresh = new SequenceSnapshot(
                    id,
                    prompt,
                    new int[0],
                    params,
                    speculation,
                    priority,
                    List.of(),
                    new SequenceStats(prompt.length, 0, 0, 0, 0, 0, 0));
            return new InFlight("", ticket, fresh, 0, -1, -1);
        }
        String model = progress.presentText();
        int[] output = progress.ints();
        SequenceStats stats = new SequenceStats(
                progress.int32(),
                progress.int32(),
                progress.int32(),
                progress.int32(),
                progress.int32(),
                progress.int32(),
                progress.int32());
        long chunks = progress.int64();
        double queued = progress.real();
        double first = progress.real();
        List<Logprobs> logprobs = readLogprobs(progress);
        progress.end();
        SequenceSnapshot sequence =
                new SequenceSnapshot(id, prompt, output, params, speculation, priority, logprobs, stats);
        return new InFlight(model, ticket, sequence, chunks, queued, first);
    }

    private static @Nullable Long readOptional(ByteReader in) throws IOException {
        boolean present = in.flag();
        long value = in.int64();
        return present ? value : null;
    }

    private static SamplingParams readParams(ByteReader in) throws IOException {
        SamplingParams.Builder b = SamplingParams.builder()
                .maxTokens(in.int32())
                .minTokens(in.int32())
                .temperature(in.real())
                .topP(in.real())
                .topK(in.int32())
                .minP(in.real())
                .repetitionPenalty(in.real())
                .presencePenalty(in.real())
                .frequencyPenalty(in.real());
        int biases = in.count(12);
        Map<Integer, Double> bias = new HashMap<>();
        for (int i = 0; i < biases; i++) {
            bias.put(in.int32(), in.real());
        }
        int stops = in.count(4);
        List<String> stop = new ArrayList<>(stops);
        for (int i = 0; i < stops; i++) {
            stop.add(in.presentText());
        }
        List<Integer> stopTokens = new ArrayList<>();
        for (int token : in.ints()) {
            stopTokens.add(token);
        }
        return b.logitBias(bias)
                .stop(stop)
                .stopTokenIds(stopTokens)
                .ignoreEos(in.flag())
                .includeStop(in.flag())
                .skipSpecialTokens(in.flag())
                .logprobs(in.int32())
                .seed(in.int64())
                .build();
    }

    private static List<Logprobs> readLogprobs(ByteReader in) throws IOException {
        int count = in.count(16);
        List<Logprobs> logprobs = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            int token = in.int32();
            double logprob = in.real();
            int[] top = in.ints();
            double[] topLogprobs = new double[top.length];
            for (int j = 0; j < top.length; j++) {
                topLogprobs[j] = in.real();
            }
            logprobs.add(new Logprobs(token, logprob, top, topLogprobs));
        }
        return logprobs;
    }

    /** Constants have numbers of their own, so that their order in the source is free. */
    private static int number(SpeculationMode mode) {
        return switch (mode) {
            case AUTO -> 0;
            case OFF -> 1;
            case TREE -> 2;
            case LOOKUP -> 3;
            case TYPICAL -> 4;
        };
    }

    private static SpeculationMode speculation(int number) throws IOException {
        for (SpeculationMode mode : SpeculationMode.values()) {
            if (number(mode) == number) {
                return mode;
            }
        }
        throw new IOException("Cannot restore a sequence: expected a drafting mode from 0 to 4, got " + number
                + ". Restore an older checkpoint.");
    }

    private static void sealed(byte[] part, ByteWriter out) {
        out.bytes(part).int32(checksum(part));
    }

    private static @Nullable ByteReader unsealed(ByteReader in) throws IOException {
        byte[] part = in.presentBytes();
        return checksum(part) == in.int32() ? new ByteReader(part) : null;
    }

    private static int checksum(byte[] part) {
        CRC32C crc = new CRC32C();
        crc.update(part);
        return (int) crc.getValue();
    }
}
