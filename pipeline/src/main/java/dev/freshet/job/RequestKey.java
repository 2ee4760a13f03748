package dev.freshet.job;

import dev.freshet.operator.Inbound;
import org.apache.flink.api.java.functions.KeySelector;

/** Sends the records of one session, else of one request id, to the same subtask, and spreads everything else. */
final class RequestKey implements KeySelector<Inbound, String> {

    private static final long serialVersionUID = 1L;

    @Override
    public String getKey(Inbound inbound) {
        if (inbound instanceof Inbound.Prompt prompt) {
            String session = prompt.request().getSessionId();
            String id = prompt.request().getId();
            return session != null ? session : id != null ? id : prompt.origin().position();
        }
        if (inbound instanceof Inbound.Rejected rejected) {
            return rejected.letter().getTopic() + "-" + rejected.letter().getPartition() + "-"
                    + rejected.letter().getOffset();
        }
        return ((Inbound.Cancel) inbound).id();
    }
}
