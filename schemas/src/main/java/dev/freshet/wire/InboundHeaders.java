package dev.freshet.wire;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** What Freshet takes from the headers of an input record. They are hostile: bounded, and never able to speak in our name. */
public final class InboundHeaders {

    /** Most headers that are copied from an input to an output record. */
    public static final int MAX_HEADERS = 64;
    /** Most bytes of names and values that are copied. */
    public static final int MAX_BYTES = 16 << 10;

    private static final String CE_ID = "ce_id";
    private static final String REPLY_TOPIC = "kafka_replyTopic";
    private static final int MAX_ID = 256;
    private static final List<String> OURS = List.of("__llm.", "__connect.errors.");

    private InboundHeaders() {}

    /** Headers that fit, and how many did not. */
    record Kept(List<Header> headers, int dropped) {}

    /** Whether only Freshet may write a header of this name; inbound ones are replaced or ignored. */
    static boolean reserved(String name) {
        return OURS.stream().anyMatch(name::startsWith);
    }

    /** Returns the headers that may be copied, in order, as far as they fit. */
    static Kept keep(List<Header> inbound, Predicate<String> wanted) {
        List<Header> kept = new ArrayList<>();
        int bytes = 0;
        int dropped = 0;
        for (Header header : inbound) {
            if (reserved(header.name()) || !wanted.test(header.name())) {
                continue;
            }
            // A header that cannot be sent is worth less than the record that carries it.
            int size = header.size();
            if (kept.size() == MAX_HEADERS || size > MAX_BYTES - bytes) {
                dropped++;
                continue;
            }
            bytes += size;
            kept.add(header);
        }
        return new Kept(kept, dropped);
    }

    /**
     * Returns the id of a request whose record has none: its CloudEvents id when that is a usable id, otherwise its position.
     *
     * @param headers headers of the record
     * @param topic topic of the record
     * @param partition partition of the record
     * @param offset offset of the record
     */
    public static String fallbackId(List<Header> headers, String topic, int partition, long offset) {
        String id = Header.lastText(headers, CE_ID);
        boolean usable = id != null
                && !id.isBlank()
                && id.length() <= MAX_ID
                && id.codePoints().noneMatch(InboundHeaders::unprintable);
        return usable && id != null ? id : topic + "-" + partition + "-" + offset;
    }

    private static boolean unprintable(int c) {
        int kind = Character.getType(c);
        return kind == Character.CONTROL || kind == Character.LINE_SEPARATOR || kind == Character.PARAGRAPH_SEPARATOR;
    }

    /**
     * Returns the topic that the producer wants its answer on, or null. Without the list, a producer could make us write to any
     * topic.
     *
     * @param headers headers of the record
     * @param allowed topics that may be asked for
     */
    public static @Nullable String replyTopic(List<Header> headers, Set<String> allowed) {
        String topic = Header.lastText(headers, REPLY_TOPIC);
        return topic != null && allowed.contains(topic) ? topic : null;
    }
}
