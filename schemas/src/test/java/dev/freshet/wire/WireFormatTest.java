package dev.freshet.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectOutputStream;
import java.net.URI;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class WireFormatTest {

    @Test
    void unknownNameListsTheKnownOnes() {
        assertThatThrownBy(() -> WireFormat.of("protobuf", WireOptions.defaults()))
                .hasMessage(
                        "Cannot choose a wire format: expected one of avro, avro-registry, json, got protobuf. Correct"
                                + " the format option.");
    }

    @Test
    void registryFormatNeedsAnHttpAddress() {
        for (URI address : new URI[] {null, URI.create("ftp://host"), URI.create("host:8081"), URI.create("/x")}) {
            WireOptions options = WireOptions.defaults();
            WireOptions with = address == null ? options : options.withRegistry(address);
            assertThatThrownBy(() -> WireFormat.of("avro-registry", with))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("expected the http address of a schema registry");
        }
    }

    @Test
    void optionsAreBounded() {
        WireOptions options = WireOptions.defaults();
        assertThatThrownBy(() -> options.withMaxBytes(0)).hasMessageContaining("got 0");
        assertThatThrownBy(() -> options.withMaxBytes((32 << 20) + 1)).hasMessageContaining("got 33554433");
        assertThatThrownBy(() -> options.withRegistryTimeout(Duration.ZERO)).hasMessageContaining("timeout above 0");
    }

    @Test
    void travelsToTheTasksOfAJob() throws Exception {
        WireFormat wire = WireFormat.of(
                "json",
                WireOptions.defaults().withStrict(true).withMaxBytes(77).withRegistry(URI.create("http://h:1")));
        WireFormat back = (WireFormat) thereAndBack(wire);
        assertThat(back.name()).isEqualTo("json");
        assertThat(back.options()).isEqualTo(wire.options());
        assertThat(back.decoder(RecordType.PROMPT).decode(new byte[78])).isInstanceOf(Decoded.Refused.class);
    }

    private static Object thereAndBack(Object value) throws IOException, ClassNotFoundException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
            out.writeObject(value);
        }
        // Java serialisation is what Flink moves job graphs with; no record goes this way.
        try (var in = new java.io.ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
            return in.readObject();
        }
    }

    @Test
    void deadLettersHaveNoJson() {
        WireFormat json = WireFormat.of("json", WireOptions.defaults());
        assertThatThrownBy(() -> json.decoder(RecordType.DEAD_LETTER)).hasMessageContaining("got dead-letter");
        assertThatThrownBy(() -> json.encoder(RecordType.DEAD_LETTER, "t")).hasMessageContaining("got dead-letter");
    }
}
