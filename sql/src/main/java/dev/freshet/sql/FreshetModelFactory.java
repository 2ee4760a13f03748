package dev.freshet.sql;

import java.util.List;
import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.catalog.Column;
import org.apache.flink.table.catalog.ResolvedSchema;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.factories.ModelProviderFactory;
import org.apache.flink.table.functions.AsyncPredictFunction;
import org.apache.flink.table.ml.AsyncPredictRuntimeProvider;
import org.apache.flink.table.ml.ModelProvider;
import org.apache.flink.table.types.logical.LogicalTypeRoot;

/** Makes models of {@code CREATE MODEL ... WITH ('provider' = 'freshet', 'model' = 'DIR')}; found by Flink as a service. */
public final class FreshetModelFactory implements ModelProviderFactory {

    @Override
    public String factoryIdentifier() {
        return "freshet";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of(ModelSettings.MODEL);
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return ModelSettings.OPTIONAL;
    }

    /**
     * {@inheritDoc}
     *
     * @throws ValidationException when an option is unknown or impossible, or the columns are not those of a text model
     */
    @Override
    public ModelProvider createModelProvider(Context context) {
        FactoryUtil.ModelProviderFactoryHelper helper = FactoryUtil.createModelProviderFactoryHelper(this, context);
        helper.validate();
        requirePrompt(context.getCatalogModel().getResolvedInputSchema());
        List<OutputColumn> columns = OutputColumn.of(context.getCatalogModel().getResolvedOutputSchema());
        return new Provider(ModelSettings.of(helper.getOptions()), columns);
    }

    private static void requirePrompt(ResolvedSchema input) {
        List<Column> columns = input.getColumns();
        if (columns.size() != 1
                || columns.get(0).getDataType().getLogicalType().getTypeRoot() != LogicalTypeRoot.VARCHAR) {
            throw new ValidationException("Cannot use the model: expected one input column of type STRING, got "
                    + columns.size() + " columns. Write INPUT (prompt STRING).");
        }
    }

    /** One model of a query. */
    private record Provider(ModelSettings settings, List<OutputColumn> columns) implements AsyncPredictRuntimeProvider {

        @Override
        public AsyncPredictFunction createAsyncPredictFunction(ModelProvider.Context context) {
            return new CompleteFunction(settings, List.copyOf(columns));
        }

        @Override
        public ModelProvider copy() {
            return this;
        }
    }
}
