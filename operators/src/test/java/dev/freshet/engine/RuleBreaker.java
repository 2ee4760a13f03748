package dev.freshet.engine;

import dev.freshet.operator.OperatorOptions;
import java.io.IOException;
import java.util.concurrent.ThreadLocalRandom;

/** Everything that main classes of this package must not do, so that the rules are seen to catch it. */
public final class RuleBreaker {

    /** Package order, clock, thread, chance, static state, public state, command, assertion, standard output. */
    public static final int RULES_BROKEN = 9;

    private static int count;

    /** Mutable and public. */
    public int open;

    /** Refers to a package above. */
    Class<?> above() {
        return OperatorOptions.class;
    }

    /** Breaks the other rules. */
    void breakRules() throws IOException {
        assert open == count;
        count += ThreadLocalRandom.current().nextInt();
        open = (int) System.nanoTime();
        new Thread(() -> System.out.println(open)).start();
        Runtime.getRuntime().exec(new String[] {"true"});
    }
}
