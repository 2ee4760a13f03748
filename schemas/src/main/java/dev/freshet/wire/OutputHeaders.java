package dev.freshet.wire;

import dev.freshet.schema.Completion;
import dev.freshet.schema.TokenChunk;
import java.io.Serializable;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The headers of completions and chunks: the producer's correlation and trace headers byte for byte, its other headers unless
 * opted out, CloudEvents attributes, lineage and checksum. Serializable, so that a job carries it. Immutable.
 *
 * @param cloudEvents whether the {@code ce_} attributes are written
 * @param source CloudEvents source, for example {@code /freshet/generate}
 * @param contentType media type of the payload
 * @param notCopied names of inbound headers that are left out
 */
public record OutputHeaders(boolean cloudEvents, String source, String contentType, Set<String> notCopied)
        implements Serializable {

    /** Topic of the request. */
    public static final String SOURCE_TOPIC = "__llm.source.topic";
    /** Partition of the request. */
    public static final String SOURCE_PARTITION = "__llm.source.partition";
    /** Offset of the request. */
    public static final String SOURCE_OFFSET = "__llm.source.offset";
    /** Fingerprint of the model that answered. */
    public static final String MODEL_FINGERPRINT = "__llm.model.fingerprint";

    private static final String CLOUD_EVENTS = "ce_";
    private static final String CONTENT_TYPE = "content-type";

    /** Copied before all others, so that a flood of headers cannot crowd them out. */
    private static final List<String> FIRST = List.of("kafka_correlationId", "traceparent", "tracestate");
    /** Instructions to us, which mean something else on an answer. */
    private static final Set<String> CONSUMED = Set.of("kafka_replyTopic", "kafka_replyPartition", CONTENT_TYPE);

    public OutputHeaders {
        notCopied = Set.copyOf(notCopied);
    }

    /** CloudEvents on, everything copied. */
    public static OutputHeaders defaults(String source, WireFormat format) {
        return new OutputHeaders(true, source, format.contentType(), Set.of());
    }

    /**
     * Returns the headers of a completion.
     *
     * @param inbound headers of the request's record
     * @param topic topic that the completion goes to
     * @param payload bytes of the completion
     */
    public List<Header> of(List<Header> inbound, Completion completion, String topic, byte[] payload) {
        List<Header> all = copied(inbound);
        event(all, "dev.freshet.completion", completion.getId(), completion.getId(), completion.getCreated());
        lineage(all, SOURCE_TOPIC, completion.getSourceTopic());
        lineage(all, SOURCE_PARTITION, completion.getSourcePartition());
        lineage(all, SOURCE_OFFSET, completion.getSourceOffset());
        lineage(all, MODEL_FINGERPRINT, completion.getModelFingerprint());
        all.add(RecordChecksum.of(topic, completion.getId(), payload));
        return all;
    }

    /** Returns the headers of a chunk, which are those of a completion without lineage. */
    public List<Header> of(List<Header> inbound, TokenChunk chunk, String topic, byte[] payload) {
        List<Header> all = copied(inbound);
        String id = chunk.getId() + ":" + chunk.getTokenOffset();
        event(all, "dev.freshet.chunk", id, chunk.getId(), chunk.getCreated());
        all.add(RecordChecksum.of(topic, chunk.getId(), payload));
        return all;
    }

    private List<Header> copied(List<Header> inbound) {
        List<Header> ordered = new ArrayList<>();
        for (String name : FIRST) {
            Header header = Header.last(inbound, name);
            if (header != null) {
                ordered.add(header);
            }
        }
        for (Header header : inbound) {
            if (!FIRST.contains(header.name())) {
                ordered.add(header);
            }
        }
        return new ArrayList<>(InboundHeaders.keep(ordered, this::wanted).headers());
    }

    private boolean wanted(String name) {
        return !name.startsWith(CLOUD_EVENTS) && !CONSUMED.contains(name) && !notCopied.contains(name);
    }

    private void event(List<Header> all, String type, String id, String subject, long seconds) {
        all.add(Header.of(CONTENT_TYPE, contentType));
        if (cloudEvents) {
            all.add(Header.of("ce_specversion", "1.0"));
            all.add(Header.of("ce_id", id));
            all.add(Header.of("ce_source", source));
            all.add(Header.of("ce_type", type));
            all.add(Header.of("ce_subject", subject));
            all.add(Header.of("ce_time", Instant.ofEpochSecond(seconds).toString()));
        }
    }

    private static void lineage(List<Header> all, String name, @Nullable Object value) {
        if (value != null && !value.toString().isEmpty()) {
            all.add(Header.of(name, value.toString()));
        }
    }
}
