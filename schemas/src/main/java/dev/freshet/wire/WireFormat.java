package dev.freshet.wire;

import dev.freshet.schema.Completion;
import dev.freshet.schema.Metric;
import dev.freshet.schema.Prompt;
import dev.freshet.schema.TokenChunk;
import java.io.Serializable;
import java.net.URI;
import java.util.List;
import java.util.Locale;
import org.apache.avro.specific.SpecificRecord;

/**
 * The way in which the records of a topic are written, with its options. Serializable, so that a job carries it; each task
 * makes its own decoders and encoders from it. Immutable.
 */
public final class WireFormat implements Serializable {

    private static final long serialVersionUID = 1L;

    private final Kind kind;
    private final WireOptions options;

    private enum Kind {
        AVRO,
        AVRO_REGISTRY,
        JSON;

        String spelled() {
            return name().toLowerCase(Locale.ROOT).replace('_', '-');
        }
    }

    private WireFormat(Kind kind, WireOptions options) {
        this.kind = kind;
        this.options = options;
    }

    /** The names of all formats. */
    public static List<String> names() {
        return List.of(Kind.AVRO.spelled(), Kind.AVRO_REGISTRY.spelled(), Kind.JSON.spelled());
    }

    /**
     * Returns the format of a name: {@code avro} is single-object encoding, {@code avro-registry} the Confluent wire format,
     * {@code json} OpenAI's batch lines and stream objects.
     *
     * @throws IllegalArgumentException for another name, and for avro-registry without the address of a registry
     */
    public static WireFormat of(String name, WireOptions options) {
        for (Kind kind : Kind.values()) {
            if (kind.spelled().equals(name)) {
                if (kind == Kind.AVRO_REGISTRY) {
                    requireHttp(options);
                }
                return new WireFormat(kind, options);
            }
        }
        throw new IllegalArgumentException("Cannot choose a wire format: expected one of " + String.join(", ", names())
                + ", got " + name + ". Correct the format option.");
    }

    private static void requireHttp(WireOptions options) {
        URI base = options.registry();
        if (base == null
                || base.getScheme() == null
                || !base.getScheme().matches("(?i)https?")
                || base.getHost() == null) {
            throw new IllegalArgumentException(
                    "Cannot use avro-registry: expected the http address of a schema registry, got "
                            + (base == null ? "none" : base)
                            + ". Set the registry option, for example http://host:8081.");
        }
    }

    /** The format's name. */
    public String name() {
        return kind.spelled();
    }

    /** The media type of a record, for the {@code content-type} header. */
    public String contentType() {
        return kind == Kind.JSON ? "application/json" : "application/avro";
    }

    /** The options it was made with. */
    public WireOptions options() {
        return options;
    }

    /** Returns a new decoder, for one thread. */
    public <T extends SpecificRecord> RecordDecoder<T> decoder(RecordType<T> type) {
        String bad = kind == Kind.JSON ? WireCodes.BAD_JSON : WireCodes.BAD_AVRO;
        LimitedDecoder.Body<T> body =
                switch (kind) {
                    case AVRO -> new SingleObject.Reader<>(type);
                    case AVRO_REGISTRY -> new RegistryFraming.Reader<>(type, registry(), System::nanoTime);
                    case JSON -> jsonReader(type);
                };
        return new LimitedDecoder<>(type, bad, options.maxBytes(), body);
    }

    /**
     * Returns a new encoder, for one thread.
     *
     * @param topic names the subject {@code <topic>-value} under which avro-registry registers the schema
     */
    public <T extends SpecificRecord> RecordEncoder<T> encoder(RecordType<T> type, String topic) {
        return switch (kind) {
            case AVRO -> new SingleObject.Writer<>(type);
            case AVRO_REGISTRY -> new RegistryFraming.Writer<>(type, registry(), topic + "-value");
            case JSON -> jsonWriter(type);
        };
    }

    private RegistryClient registry() {
        URI base = options.registry();
        if (base == null) {
            throw new IllegalStateException("Cannot ask a schema registry: expected an address, got none.");
        }
        return new RegistryClient(base, options.registryTimeout());
    }

    @SuppressWarnings("unchecked") // Each branch serves exactly the record type that it compares with.
    private <T extends SpecificRecord> LimitedDecoder.Body<T> jsonReader(RecordType<T> type) {
        Object body;
        if (type == RecordType.PROMPT) {
            body = PromptJson.reader(options.strict());
        } else if (type == RecordType.COMPLETION) {
            body = (LimitedDecoder.Body<Completion>) CompletionJson::read;
        } else if (type == RecordType.TOKEN_CHUNK) {
            body = (LimitedDecoder.Body<TokenChunk>) TokenChunkJson::read;
        } else if (type == RecordType.METRIC) {
            body = (LimitedDecoder.Body<Metric>) MetricJson::read;
        } else {
            throw noJson(type);
        }
        return (LimitedDecoder.Body<T>) body;
    }

    private static <T extends SpecificRecord> RecordEncoder<T> jsonWriter(RecordType<T> type) {
        if (type == RecordType.PROMPT) {
            return value -> PromptJsonWriter.write((Prompt) value);
        } else if (type == RecordType.COMPLETION) {
            return value -> CompletionJson.write((Completion) value);
        } else if (type == RecordType.TOKEN_CHUNK) {
            return value -> TokenChunkJson.write((TokenChunk) value);
        } else if (type == RecordType.METRIC) {
            return value -> MetricJson.write((Metric) value);
        }
        throw noJson(type);
    }

    private static IllegalArgumentException noJson(RecordType<?> type) {
        return new IllegalArgumentException(
                "Cannot use json: expected a prompt, completion, token-chunk or metric, got " + type
                        + ". Use avro for it.");
    }
}
