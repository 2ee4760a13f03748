package dev.freshet.wire;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.schema.Metric;
import dev.freshet.schema.Percentiles;
import dev.freshet.wire.JsonText.Bad;
import java.util.Set;
import org.apache.avro.Schema;
import org.jspecify.annotations.Nullable;

/**
 * A metric as one flat JSON object: labels under their own names, values under vLLM's names with the prefix {@code freshet:},
 * quantiles as three values that end in {@code _p50}, {@code _p90} and {@code _p99}.
 */
final class MetricJson {

    private static final String PREFIX = "freshet:";
    private static final Set<String> LABELS =
            Set.of("kind", "timestamp_ms", "interval_ms", "job", "model_name", "engine", "engines", "backend");

    private MetricJson() {}

    static byte[] write(Metric m) {
        ObjectNode out = JsonText.MAPPER.createObjectNode();
        for (Schema.Field field : m.getSchema().getFields()) {
            String name = name(field);
            Object value = m.get(field.pos());
            if (value instanceof String text) {
                JsonOut.put(out, name, text);
            } else if (value instanceof Integer number) {
                out.put(name, number);
            } else if (value instanceof Long number) {
                out.put(name, number);
            } else if (value instanceof Double number) {
                JsonOut.put(out, name, number);
            } else if (value instanceof Percentiles p) {
                JsonOut.put(out, name + "_p50", p.getP50());
                JsonOut.put(out, name + "_p90", p.getP90());
                JsonOut.put(out, name + "_p99", p.getP99());
            }
        }
        return JsonText.bytes(out);
    }

    static Decoded<Metric> read(byte[] bytes) {
        try {
            JsonFields in = new JsonFields(JsonText.object(bytes));
            Metric m = new Metric();
            for (Schema.Field field : m.getSchema().getFields()) {
                Object value = value(in, field);
                if (value == null && !field.schema().isNullable()) {
                    throw CompletionJson.missing(name(field));
                }
                m.put(field.pos(), value);
            }
            return new Decoded.Value<>(m);
        } catch (Bad e) {
            return new Decoded.Refused<>(e.code(), e.field(), "Cannot decode metric: " + e.getMessage(), null, null);
        }
    }

    private static @Nullable Object value(JsonFields in, Schema.Field field) throws Bad {
        String name = name(field);
        return switch (field.schema().getType()) {
            case STRING -> in.text(name);
            case INT -> in.int32(name);
            case LONG -> in.integer(name);
            case DOUBLE -> in.number(name);
            case UNION -> percentiles(in, name);
            default ->
                throw new IllegalStateException("Cannot read a metric: expected text, number or quantiles, got "
                        + field.schema().getType() + " (" + name + "). Teach the JSON form of metrics this type.");
        };
    }

    private static @Nullable Percentiles percentiles(JsonFields in, String name) throws Bad {
        Double p50 = in.number(name + "_p50");
        Double p90 = in.number(name + "_p90");
        Double p99 = in.number(name + "_p99");
        return p50 == null || p90 == null || p99 == null ? null : new Percentiles(p50, p90, p99);
    }

    private static String name(Schema.Field field) {
        return LABELS.contains(field.name()) ? field.name() : PREFIX + field.name();
    }
}
