package dev.freshet.operator;

import org.apache.flink.streaming.api.operators.AbstractStreamOperatorFactory;
import org.apache.flink.streaming.api.operators.ChainingStrategy;
import org.apache.flink.streaming.api.operators.OneInputStreamOperatorFactory;
import org.apache.flink.streaming.api.operators.StreamOperator;
import org.apache.flink.streaming.api.operators.StreamOperatorParameters;
import org.apache.flink.util.clock.SystemClock;

/**
 * Makes generate operators, chained to the source so that a barrier never waits behind buffered prompts. Serializable, as part of
 * the job graph.
 */
public final class GenerateOperatorFactory extends AbstractStreamOperatorFactory<Outbound>
        implements OneInputStreamOperatorFactory<Inbound, Outbound> {

    private static final long serialVersionUID = 1L;

    private final OperatorOptions options;
    private final ModelLoader loader;
    private final boolean bounded;

    /** Creates a factory of operators whose input goes on for ever. */
    public GenerateOperatorFactory(OperatorOptions options, ModelLoader loader) {
        this(options, loader, false);
    }

    /**
     * Creates a factory.
     *
     * @param bounded whether the input ends by itself, so that the operators end together; see {@link CommonEnd}
     */
    public GenerateOperatorFactory(OperatorOptions options, ModelLoader loader, boolean bounded) {
        this.options = options;
        this.loader = loader;
        this.bounded = bounded;
        this.chainingStrategy = ChainingStrategy.ALWAYS;
    }

    @Override
    @SuppressWarnings("unchecked")
    public <T extends StreamOperator<Outbound>> T createStreamOperator(StreamOperatorParameters<Outbound> parameters) {
        return (T) new GenerateOperator(parameters, options, loader, bounded, SystemClock.getInstance());
    }

    @Override
    @SuppressWarnings("rawtypes")
    public Class<? extends StreamOperator> getStreamOperatorClass(ClassLoader classLoader) {
        return GenerateOperator.class;
    }
}
