package dev.freshet.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.apache.avro.specific.SpecificRecord;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Whatever happens to the bytes of a record, decoding answers with a value and takes little memory. */
class MutationTest {

    private static final long SEED = 20261124;
    private static final int FLIPS = 400;
    private static final int SPLICES = 200;
    private static final WireOptions OPTIONS = WireOptions.defaults();

    @TestFactory
    Stream<DynamicTest> mutantsNeverThrow() {
        List<DynamicTest> tests = new ArrayList<>();
        for (String format : List.of("avro", "json")) {
            for (RecordType<?> type : Samples.TYPES) {
                if (!(format.equals("json") && type == RecordType.DEAD_LETTER)) {
                    tests.add(DynamicTest.dynamicTest(format + " " + type, () -> tryAll(format, type)));
                }
            }
        }
        return tests.stream();
    }

    private static <T extends SpecificRecord> void tryAll(String format, RecordType<T> type) {
        WireFormat wire = WireFormat.of(format, OPTIONS);
        RecordDecoder<T> decoder = wire.decoder(type);
        byte[] good = wire.encoder(type, "t").encode(type.type().cast(Samples.full(type)));
        List<byte[]> mutants = mutants(good);
        assertThat(mutants).hasSizeGreaterThan(FLIPS + SPLICES + good.length - 1);
        int refused = 0;
        for (byte[] mutant : mutants) {
            long before = Allocations.now();
            Decoded<T> decoded = decoder.decode(mutant);
            assertThat(Allocations.now() - before).isLessThan(Allocations.EIGHT_MIB);
            refused += decoded instanceof Decoded.Refused ? 1 : 0;
        }
        assertThat(decoder.decode(null)).isInstanceOf(Decoded.Refused.class);
        // Damage inside a number or a text can leave a good record; every truncation must be seen.
        assertThat(refused).isGreaterThanOrEqualTo(good.length);
    }

    private static List<byte[]> mutants(byte[] good) {
        SplittableRandom random = new SplittableRandom(SEED);
        List<byte[]> all = new ArrayList<>();
        for (int length = 0; length < good.length; length++) {
            all.add(Arrays.copyOf(good, length));
        }
        for (int i = 0; i < FLIPS; i++) {
            byte[] copy = good.clone();
            for (int flips = random.nextInt(1, 4); flips > 0; flips--) {
                copy[random.nextInt(copy.length)] ^= (byte) (1 << random.nextInt(8));
            }
            all.add(copy);
        }
        for (int i = 0; i < SPLICES; i++) {
            byte[] copy = good.clone();
            int at = random.nextInt(copy.length);
            int length = random.nextInt(copy.length - at);
            byte filler = (byte) (random.nextBoolean() ? 0xFF : random.nextInt(256));
            Arrays.fill(copy, at, at + length, filler);
            all.add(copy);
        }
        byte[] doubled = Arrays.copyOf(good, 2 * good.length);
        System.arraycopy(good, 0, doubled, good.length, good.length);
        all.add(doubled);
        return all;
    }
}
