/**
 * Bytes to records and back: the wire formats {@code avro}, {@code avro-registry} and {@code json}, and the headers that go
 * with them. Decoders treat every byte as hostile: bad data is a value ({@link dev.freshet.wire.Decoded.Refused}), never an
 * exception, and memory is bounded by the limits in {@link dev.freshet.wire.WireOptions}.
 */
@NullMarked
package dev.freshet.wire;

import org.jspecify.annotations.NullMarked;
