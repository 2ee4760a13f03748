package dev.freshet.wire;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.freshet.schema.Prompt;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.function.Consumer;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Producers with an older, newer or foreign schema, through the registry. */
class EvolutionTest {

    private static final int ID = 11;

    private final FakeRegistry registry = new FakeRegistry();
    private final RecordDecoder<Prompt> decoder = WireFormat.of(
                    "avro-registry",
                    WireOptions.defaults().withRegistry(registry.address()).withRegistryTimeout(Duration.ofSeconds(30)))
            .decoder(RecordType.PROMPT);

    @AfterEach
    void stop() {
        registry.close();
    }

    /** Our schema, changed. */
    private static Schema changed(Consumer<ObjectNode> change) throws IOException {
        ObjectNode tree = (ObjectNode) JsonText.MAPPER.readTree(
                ReleasedSchemas.load(RecordType.PROMPT, 1).toString());
        change.accept(tree);
        return new Schema.Parser().parse(tree.toString());
    }

    private static ArrayNode fields(ObjectNode tree) {
        return (ArrayNode) tree.get("fields");
    }

    private static void remove(ObjectNode tree, String name) {
        for (int i = 0; i < fields(tree).size(); i++) {
            if (fields(tree).get(i).get("name").textValue().equals(name)) {
                fields(tree).remove(i);
                return;
            }
        }
        throw new IllegalArgumentException(name);
    }

    private static void add(ObjectNode tree, String field) {
        try {
            fields(tree).insert(0, JsonText.MAPPER.readTree(field));
        } catch (IOException e) {
            throw new IllegalArgumentException(e);
        }
    }

    private static void retype(ObjectNode tree, String name, String type) {
        for (JsonNode field : fields(tree)) {
            if (field.get("name").textValue().equals(name)) {
                try {
                    ((ObjectNode) field).set("type", JsonText.MAPPER.readTree(type));
                } catch (IOException e) {
                    throw new IllegalArgumentException(e);
                }
                ((ObjectNode) field).remove("default");
                ((ObjectNode) field).remove("aliases");
            }
        }
    }

    /** A record of a foreign schema: the given fields, and defaults for the others. */
    private static GenericData.Record record(Schema schema, Object... namesAndValues) {
        GenericData.Record record = new GenericData.Record(schema);
        for (Schema.Field field : schema.getFields()) {
            if (field.hasDefaultValue()) {
                record.put(field.pos(), GenericData.get().getDefaultValue(field));
            }
        }
        for (int i = 0; i < namesAndValues.length; i += 2) {
            record.put((String) namesAndValues[i], namesAndValues[i + 1]);
        }
        return record;
    }

    private Decoded<Prompt> send(Schema schema, Object... namesAndValues) throws IOException {
        registry.put(ID, schema.toString());
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.writeBytes(ByteBuffer.allocate(5).put((byte) 0).putInt(ID).array());
        BinaryEncoder out = EncoderFactory.get().directBinaryEncoder(bytes, null);
        new GenericDatumWriter<GenericData.Record>(schema).write(record(schema, namesAndValues), out);
        out.flush();
        return decoder.decode(bytes.toByteArray());
    }

    private static Prompt value(Decoded<Prompt> decoded) {
        assertThat(decoded).isInstanceOf(Decoded.Value.class);
        return ((Decoded.Value<Prompt>) decoded).value();
    }

    private static void assertIncompatible(Decoded<Prompt> decoded) {
        assertThat(decoded).isInstanceOf(Decoded.Refused.class);
        assertThat(((Decoded.Refused<Prompt>) decoded).code()).isEqualTo(WireCodes.SCHEMA_INCOMPATIBLE);
    }

    @Test
    void fieldsThatWeDoNotHaveAreSkipped() throws IOException {
        Schema newer = changed(tree -> {
            add(tree, "{\"name\":\"colour\",\"type\":\"string\"}");
            add(
                    tree,
                    "{\"name\":\"nested\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"map\",\"values\":\"bytes\"}}}");
        });
        Prompt p = value(send(newer, "colour", "blue", "nested", java.util.List.of(), "prompt", "Once", "top_k", 3L));
        assertThat(p)
                .isEqualTo(Prompt.newBuilder().setPrompt("Once").setTopK(3L).build());
    }

    @Test
    void fieldsThatTheProducerLacksGetTheirDefault() throws IOException {
        Schema older = changed(tree -> {
            remove(tree, "skip_special_tokens");
            remove(tree, "metadata");
            remove(tree, "temperature");
            remove(tree, "logit_bias");
        });
        Prompt p = value(send(older, "prompt", "Once"));
        assertThat(p).isEqualTo(Prompt.newBuilder().setPrompt("Once").build());
        assertThat(p.getSkipSpecialTokens()).isTrue();
    }

    @Test
    void narrowerNumbersAndPlainTypesArePromoted() throws IOException {
        Schema narrow = changed(tree -> {
            retype(tree, "max_tokens", "\"int\"");
            retype(tree, "temperature", "\"float\"");
            retype(tree, "seed", "[\"int\",\"null\"]");
            retype(tree, "prompt", "\"string\"");
        });
        Prompt p = value(send(narrow, "max_tokens", 7, "temperature", 0.5f, "seed", -9, "prompt", "Once"));
        assertThat(p)
                .isEqualTo(Prompt.newBuilder()
                        .setMaxTokens(7L)
                        .setTemperature(0.5)
                        .setSeed(-9L)
                        .setPrompt("Once")
                        .build());
    }

    @Test
    void schemaOfThreeFieldsInAnotherNamespaceIsEnough() throws IOException {
        Schema own = new Schema.Parser()
                .parse("{\"type\":\"record\",\"name\":\"Prompt\",\"namespace\":\"com.example\",\"fields\":["
                        + "{\"name\":\"prompt\",\"type\":\"string\"},{\"name\":\"max_tokens\",\"type\":\"int\"},"
                        + "{\"name\":\"request_id\",\"type\":\"string\"}]}");
        Prompt p = value(send(own, "prompt", "Once", "max_tokens", 3, "request_id", "r-5"));
        assertThat(p)
                .isEqualTo(Prompt.newBuilder()
                        .setId("r-5")
                        .setPrompt("Once")
                        .setMaxTokens(3L)
                        .build());
    }

    @Test
    void otherTypesAreIncompatible() throws IOException {
        assertIncompatible(send(changed(tree -> retype(tree, "max_tokens", "\"string\"")), "max_tokens", "7"));
        assertIncompatible(send(changed(tree -> retype(tree, "stop", "\"string\"")), "stop", "END"));
        assertIncompatible(send(changed(tree -> retype(tree, "echo", "\"int\"")), "echo", 1));
        assertIncompatible(send(
                changed(tree -> retype(tree, "priority", "{\"type\":\"enum\",\"name\":\"P\",\"symbols\":[\"LOW\"]}")),
                "priority",
                new GenericData.EnumSymbol(Schema.createEnum("P", null, null, java.util.List.of("LOW")), "LOW")));
    }

    @Test
    void twoNamesForOneFieldAreIncompatible() throws IOException {
        assertIncompatible(send(
                changed(tree -> add(tree, "{\"name\":\"request_id\",\"type\":\"string\"}")),
                "request_id",
                "a",
                "id",
                "b"));
    }

    @Test
    void schemaThatIsNoRecordIsIncompatible() {
        registry.put(ID, "\"string\"");
        assertIncompatible(decoder.decode(new byte[] {0, 0, 0, 0, ID, 0}));
    }

    @Test
    void bytesThatAreNotOfTheNamedSchemaAreBadAvro() {
        registry.put(ID, RecordType.PROMPT.schema().toString());
        Decoded<Prompt> decoded = decoder.decode(new byte[] {0, 0, 0, 0, ID, 2, 80, 'x'});
        assertThat(((Decoded.Refused<Prompt>) decoded).code()).isEqualTo(WireCodes.BAD_AVRO);
        assertThat(((Decoded.Refused<Prompt>) decoded).schemaId()).isEqualTo(ID);
    }

    @Test
    void readersWithAnOlderSchemaReadWhatWeWrite() throws IOException {
        Schema older = changed(tree -> {
            remove(tree, "metadata");
            remove(tree, "deadline_ms");
        });
        byte[] bytes = WireFormat.of("avro", WireOptions.defaults())
                .encoder(RecordType.PROMPT, "t")
                .encode(Samples.prompt());
        GenericData.Record read = new GenericDatumReader<GenericData.Record>(RecordType.PROMPT.schema(), older)
                .read(null, DecoderFactory.get().binaryDecoder(bytes, 10, bytes.length - 10, null));
        assertThat(read.get("id")).hasToString("r-1");
        assertThat(read.get("top_k")).isEqualTo(40L);
    }
}
