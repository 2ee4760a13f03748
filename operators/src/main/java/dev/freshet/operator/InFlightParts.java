package dev.freshet.operator;

import dev.freshet.engine.SequenceSnapshot;
import dev.freshet.engine.SequenceStats;
import dev.freshet.request.SamplingParams;
import dev.freshet.request.SessionTurn;
import dev.freshet.request.SpeculationMode;
import dev.freshet.sampling.Logprobs;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** The bytes of the two small parts of a stored {@link InFlight}: the request and its progress. */
final class InFlightParts {

    private InFlightParts() {}

    /** The request; what version 3 added comes last. */
    static byte[] request(InFlight record) {
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
        SessionTurn session = t.session();
        out.text(session == null ? null : session.id());
        if (session != null) {
            out.int32(session.number()).flag(session.last()).ints(record.opening());
        }
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

    /** How far the request has come, without the model's state. */
    static byte[] progress(InFlight record) {
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
        return out.int32(record.sequence().committed())
                .int32(record.cachedTokens())
                .toBytes();
    }

    /**
     * Reads both parts; what is read has no state.
     *
     * @param progress bytes of the progress, or null to begin again from the prompt
     */
    static InFlight read(int version, ByteReader in, @Nullable ByteReader progress) throws IOException {
        Origin origin = EnvelopeBytes.readOrigin(in);
        Ticket sessionless = new Ticket(
                origin,
                in.presentText(),
                in.presentText(),
                in.flag(),
                in.flag(),
                in.flag(),
                in.text(),
                in.int64(),
                readOptional(in),
                null);
        String id = in.presentText();
        int[] prompt = in.ints();
        SpeculationMode speculation = speculation(in.int32());
        int priority = in.int32();
        SamplingParams params = readParams(in);
        String session = version > 2 ? in.text() : null;
        Ticket ticket = sessionless;
        int[] opening = {};
        if (session != null) {
            ticket = sessionless.in(new SessionTurn(session, in.int32(), in.flag()));
            opening = in.ints();
        }
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
                    new SequenceStats(prompt.length, 0, 0, 0, 0, 0, 0),
                    0,
                    null);
            return new InFlight("", ticket, fresh, 0, -1, -1, 0, opening);
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
        // Version 1 does not tell how much of a prompt was done; a text that has begun is done but for its last token.
        int committed = version > 1 ? progress.int32() : output.length == 0 ? 0 : prompt.length + output.length - 1;
        int cached = version > 2 ? progress.int32() : 0;
        progress.end();
        SequenceSnapshot sequence = new SequenceSnapshot(
                id, prompt, output, params, speculation, priority, logprobs, stats, committed, null);
        return new InFlight(model, ticket, sequence, chunks, queued, first, cached, opening);
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
}
