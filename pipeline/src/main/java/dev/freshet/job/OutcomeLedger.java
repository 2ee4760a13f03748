package dev.freshet.job;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Compares outcomes with inputs: all outcomes are entered first, then all inputs, then, only while {@link #hasOpen()}, all inputs
 * again to find the answered records that open ones repeat. Memory is a bit for each input, two longs for each completion's id
 * and an entry for each open input. Confined to one thread.
 */
final class OutcomeLedger {

    private final String inputTopic;
    private final int listed;
    private final Map<Integer, OffsetSet> answered = new HashMap<>();
    private final Map<Integer, OffsetSet> met = new HashMap<>();
    private final LongHashSet completedIds = new LongHashSet();
    private final Map<Integer, TreeMap<Long, Request>> open = new TreeMap<>();
    private final LongHashSet openIds = new LongHashSet();
    private final LongHashSet answeredTwins = new LongHashSet();
    private final Map<Integer, Long> firstOffsets = new HashMap<>();
    private final long[] outcomes = new long[Kind.values().length];
    private final Counting twice = new Counting();
    private final Counting corrupt = new Counting();
    private long inputs;
    private long resumed;
    private long otherSources;

    /** What an outcome is. */
    enum Kind {
        COMPLETION,
        ERROR,
        DEAD_LETTER
    }

    /** An input, as hashes of its id and of its bytes. */
    private record Request(long id, long content) {
        long twin() {
            return id * 0x9E3779B97F4A7C15L ^ content;
        }
    }

    /**
     * Creates an empty ledger.
     *
     * @param inputTopic topic whose records must have outcomes
     * @param listed positions named in each finding
     */
    OutcomeLedger(String inputTopic, int listed) {
        this.inputTopic = inputTopic;
        this.listed = listed;
    }

    /** The first eight bytes of SHA-256. */
    static long hash(byte[] bytes) {
        try {
            return ByteBuffer.wrap(MessageDigest.getInstance("SHA-256").digest(bytes))
                    .getLong();
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Cannot compare requests: expected SHA-256 in this Java, got none.", e);
        }
    }

    /** Enters an outcome that is at {@code place}. */
    void outcome(Kind kind, OutcomePosition source, String place) {
        if (!source.topic().equals(inputTopic)) {
            otherSources++;
            return;
        }
        outcomes[kind.ordinal()]++;
        OffsetSet offsets = answered.computeIfAbsent(source.partition(), key -> new OffsetSet());
        if (!offsets.add(source.offset())) {
            twice.add("input " + source + " again at " + place);
        }
    }

    /** Enters the id of a completion of our input topic, with whether it was resumed. */
    void completed(long id, boolean wasResumed, String place) {
        if (wasResumed) {
            resumed++;
        }
        if (!completedIds.add(id)) {
            twice.add("request id again at " + place);
        }
    }

    /** Enters an outcome that cannot be trusted. */
    void corrupt(String place, String why) {
        corrupt.add(place + " (" + why + ")");
    }

    /** Notes where a partition of the input begins: what lay before was deleted by the broker. */
    void begin(int partition, long firstOffset) {
        firstOffsets.put(partition, firstOffset);
    }

    /** Enters an input. */
    void input(int partition, long offset, long id, long content) {
        inputs++;
        met.computeIfAbsent(partition, key -> new OffsetSet()).add(offset);
        if (!isAnswered(partition, offset)) {
            open.computeIfAbsent(partition, key -> new TreeMap<>()).put(offset, new Request(id, content));
            openIds.add(id);
        }
    }

    private boolean isAnswered(int partition, long offset) {
        OffsetSet offsets = answered.get(partition);
        return offsets != null && offsets.contains(offset);
    }

    /** Whether there are inputs without an outcome, so that they must be looked through again for the records they repeat. */
    boolean hasOpen() {
        return !open.isEmpty();
    }

    /** Enters an input once more. */
    void again(int partition, long offset, long id, long content) {
        if (isAnswered(partition, offset) && openIds.contains(id)) {
            answeredTwins.add(new Request(id, content).twin());
        }
    }

    /** Returns what was found. */
    Verification close(List<String> notes) {
        Counting missing = new Counting();
        long duplicates = 0;
        for (Map.Entry<Integer, TreeMap<Long, Request>> partition : open.entrySet()) {
            for (Map.Entry<Long, Request> request : partition.getValue().entrySet()) {
                if (answeredTwins.contains(request.getValue().twin())) {
                    duplicates++;
                } else {
                    missing.add(new OutcomePosition(inputTopic, partition.getKey(), request.getKey()).toString());
                }
            }
        }
        Counting unknown = new Counting();
        long expired = 0;
        for (Map.Entry<Integer, OffsetSet> partition : new TreeMap<>(answered).entrySet()) {
            OffsetSet known = met.getOrDefault(partition.getKey(), new OffsetSet());
            long first = firstOffsets.getOrDefault(partition.getKey(), 0L);
            for (long offset : partition.getValue().toArray()) {
                if (offset < first) {
                    expired++;
                } else if (!known.contains(offset)) {
                    unknown.add(new OutcomePosition(inputTopic, partition.getKey(), offset).toString());
                }
            }
        }
        return new Verification(
                inputs,
                outcomes[Kind.COMPLETION.ordinal()],
                outcomes[Kind.ERROR.ordinal()],
                outcomes[Kind.DEAD_LETTER.ordinal()],
                duplicates,
                resumed,
                otherSources,
                expired,
                missing.found(),
                twice.found(),
                corrupt.found(),
                unknown.found(),
                notes);
    }

    /** Counts all and keeps the first. */
    private final class Counting {

        private final List<String> first = new ArrayList<>();
        private long count;

        void add(String place) {
            count++;
            if (first.size() < listed) {
                first.add(place);
            }
        }

        Verification.Finding found() {
            return new Verification.Finding(count, first);
        }
    }
}
