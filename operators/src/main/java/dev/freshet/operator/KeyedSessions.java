package dev.freshet.operator;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.apache.flink.api.common.state.KeyedStateStore;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeutils.base.array.LongPrimitiveArraySerializer;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.runtime.state.KeyedStateBackend;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.util.clock.Clock;
import org.jspecify.annotations.Nullable;

/**
 * Sessions in Flink's keyed state, so that they go with their key when the parallelism changes. Beside each one lies when it was used
 * and how large it is; an index of these in memory makes time-to-live and quota exact, without a look at the sessions themselves.
 * Confined to the task thread.
 */
final class KeyedSessions implements SessionStore {

    private static final String TURNS = "session-turns";
    private static final String USES = "session-uses";

    private final ConversationOptions options;
    private final KeyedStateBackend<String> keys;
    private final ValueState<Conversation> conversations;

    /** Milliseconds since the epoch of the last use, and bytes. */
    private final ValueState<long[]> uses;

    /** Turns in flight, in a checkpoint alone. */
    private final ListState<InFlight> turns;

    private final Clock clock;
    private final Counter expired;
    private final Counter evicted;

    /** The use of each session, the one that was not used for longest first. */
    private final LinkedHashMap<String, long[]> index = new LinkedHashMap<>();

    private final Set<String> held = new HashSet<>();
    private long bytes;

    KeyedSessions(
            ConversationOptions options,
            KeyedStateBackend<String> keys,
            KeyedStateStore store,
            Clock clock,
            MetricGroup operator) {
        this.options = options;
        this.keys = keys;
        this.clock = clock;
        conversations = store.getState(new ValueStateDescriptor<>("sessions", new ConversationSerializer()));
        uses = store.getState(new ValueStateDescriptor<>(USES, LongPrimitiveArraySerializer.INSTANCE));
        turns = store.getListState(new ListStateDescriptor<>(TURNS, new InFlightSerializer()));
        MetricGroup group = operator.addGroup("llm");
        group.gauge("numSessions", (Gauge<Integer>) index::size);
        group.gauge("sessionBytes", (Gauge<Long>) () -> bytes);
        expired = group.counter("numSessionsExpired");
        evicted = group.counter("numSessionsEvicted");
    }

    /** Reads the index of restored sessions, and returns the turns that were in flight by session. */
    Map<String, List<InFlight>> restore() throws Exception {
        record Used(String session, long[] use) {}
        List<Used> all = new ArrayList<>();
        for (String session : keysOf(USES)) {
            keys.setCurrentKey(session);
            all.add(new Used(session, uses.value()));
        }
        all.sort(Comparator.comparingLong(used -> used.use()[0]));
        for (Used used : all) {
            index.put(used.session(), used.use());
            bytes += used.use()[1];
        }
        Map<String, List<InFlight>> restored = new HashMap<>();
        for (String session : keysOf(TURNS)) {
            keys.setCurrentKey(session);
            List<InFlight> of = new ArrayList<>();
            turns.get().forEach(of::add);
            restored.put(session, of);
            turns.clear();
        }
        return restored;
    }

    private List<String> keysOf(String state) {
        try (Stream<String> all = keys.getKeys(state, VoidNamespace.INSTANCE)) {
            return all.toList();
        }
    }

    /** Puts the turns in flight into the checkpoint at hand. */
    void holdTurns(Map<String, List<InFlight>> inFlight) throws Exception {
        clearTurns();
        for (Map.Entry<String, List<InFlight>> session : inFlight.entrySet()) {
            keys.setCurrentKey(session.getKey());
            turns.update(session.getValue());
            held.add(session.getKey());
        }
    }

    /** Forgets them after it. */
    void clearTurns() {
        for (String session : held) {
            keys.setCurrentKey(session);
            turns.clear();
        }
        held.clear();
    }

    @Override
    public @Nullable Conversation get(String session) {
        expire();
        if (!index.containsKey(session)) {
            return null;
        }
        keys.setCurrentKey(session);
        try {
            return conversations.value();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void put(String session, Conversation conversation) {
        long[] before = index.remove(session);
        long[] use = {clock.absoluteTimeMillis(), conversation.end().bytes()};
        index.put(session, use);
        bytes += use[1] - (before == null ? 0 : before[1]);
        keys.setCurrentKey(session);
        try {
            conversations.update(conversation);
            uses.update(use);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        while (index.size() > 1 && (index.size() > options.sessions() || bytes > options.bytes())) {
            evicted.inc();
            remove(index.keySet().iterator().next());
        }
    }

    @Override
    public void remove(String session) {
        long[] use = index.remove(session);
        if (use != null) {
            forget(session, use);
        }
    }

    private void forget(String session, long[] use) {
        bytes -= use[1];
        keys.setCurrentKey(session);
        conversations.clear();
        uses.clear();
    }

    /** Forgets the sessions whose time has come. */
    void expire() {
        long before = clock.absoluteTimeMillis() - options.ttl().toMillis();
        Iterator<Map.Entry<String, long[]>> oldest = index.entrySet().iterator();
        while (oldest.hasNext()) {
            Map.Entry<String, long[]> one = oldest.next();
            if (one.getValue()[0] > before) {
                return;
            }
            oldest.remove();
            expired.inc();
            forget(one.getKey(), one.getValue());
        }
    }
}
