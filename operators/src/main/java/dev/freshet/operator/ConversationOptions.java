package dev.freshet.operator;

import java.io.Serializable;
import java.time.Duration;

/**
 * How a job keeps conversations; the limits are those of one subtask. Serializable, so that the job graph carries it. Immutable.
 *
 * @param ttl after which a session that had no turn is forgotten
 * @param sessions most sessions kept; the one that had no turn for longest is forgotten first
 * @param bytes most bytes of tokens and states kept, likewise
 * @param tokens most tokens of one session, the prompt at hand included
 * @param waiting most turns of one session that wait for the one that runs
 */
public record ConversationOptions(Duration ttl, int sessions, long bytes, int tokens, int waiting)
        implements Serializable {

    private static final long serialVersionUID = 1L;

    /** Returns the defaults: a day, 100,000 sessions of 4 GiB together, 32,768 tokens in each, 16 waiting turns. */
    public static ConversationOptions defaults() {
        return new ConversationOptions(Duration.ofDays(1), 100_000, 4L << 30, 32_768, 16);
    }
}
