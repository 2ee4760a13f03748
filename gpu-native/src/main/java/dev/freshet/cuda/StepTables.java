package dev.freshet.cuda;

import dev.freshet.kernel.Buffer;
import dev.freshet.kernel.Draw;
import dev.freshet.kernel.Paths;
import dev.freshet.kernel.Segments;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * The segments of a step as the attention kernels read them (attention.cuh): structs Segment and Tile, then for each row its segment,
 * depth and start of its path, then the paths of trees, then accepted rows. One block of memory; offsets count 4-byte elements.
 */
final class StepTables {

    private static final int SEGMENT_INTS = 6;

    private final Segments segments;
    private final Buffer[] slots;
    private final @Nullable Paths accepted;
    private final int tileRows;
    private final int tiles;
    private final int pathInts;

    private StepTables(Segments segments, Buffer[] slots, @Nullable Paths accepted) {
        this.segments = segments;
        this.slots = slots;
        this.accepted = accepted;
        int largest = 1;
        int paths = 0;
        for (int s = 0; s < segments.count(); s++) {
            largest = Math.max(largest, segments.size(s));
            for (int t = 0; !segments.chain(s) && t < segments.size(s); t++) {
                paths += segments.depth(segments.first(s) + t) + 1;
            }
        }
        tileRows = largest == 1 ? 1 : CudaAttention.WIDE_TILE;
        int sum = 0;
        for (int s = 0; s < segments.count(); s++) {
            sum += (segments.size(s) + tileRows - 1) / tileRows;
        }
        tiles = sum;
        pathInts = paths;
    }

    static StepTables of(Segments segments, Buffer[] slots, @Nullable Paths accepted) {
        return new StepTables(segments, slots, accepted);
    }

    /** Elements that the tables of a step of at most so many segments and rows take; paths are no longer than drafts. */
    static int mostInts(int segments, int rows) {
        return SEGMENT_INTS * segments + rows * (2 + 3 + Draw.LONGEST_PATH + 1 + 1);
    }

    /** Rows of a tile: 1 when every segment has one row. */
    int tileRows() {
        return tileRows;
    }

    int tiles() {
        return tiles;
    }

    int tilesAt() {
        return SEGMENT_INTS * segments.count();
    }

    int rowSegmentAt() {
        return tilesAt() + 2 * tiles;
    }

    int depthAt() {
        return rowSegmentAt() + segments.rows();
    }

    int pathStartAt() {
        return depthAt() + segments.rows();
    }

    int pathsAt() {
        return pathStartAt() + segments.rows();
    }

    int acceptedAt() {
        return pathsAt() + pathInts;
    }

    int bytes() {
        return 4 * (acceptedAt() + (accepted == null ? 0 : segments.rows()));
    }

    /** Whether the commit fills the group of some segment. */
    boolean closesGroup(int group) {
        for (int s = 0; accepted != null && s < segments.count(); s++) {
            if (accepted.size(s) > 0 && (segments.position(s) + accepted.size(s)) % group == 0) {
                return true;
            }
        }
        return false;
    }

    void write(ByteBuffer to) {
        int tile = tilesAt();
        int path = 0;
        int[] nodes = new int[segments.rows()];
        for (int s = 0; s < segments.count(); s++) {
            int first = segments.first(s);
            int at = 4 * SEGMENT_INTS * s;
            to.putLong(at, DeviceBuffer.of(slots[segments.slot(s)]).address().value());
            to.putInt(at + 8, segments.position(s));
            to.putInt(at + 12, first);
            to.putInt(at + 16, segments.size(s));
            to.putInt(at + 20, accepted == null ? 0 : accepted.size(s));
            for (int node = 0; node < segments.size(s); node += tileRows) {
                to.putInt(4 * tile++, s);
                to.putInt(4 * tile++, node);
            }
            for (int t = 0; t < segments.size(s); t++) {
                int row = first + t;
                to.putInt(4 * (rowSegmentAt() + row), s);
                to.putInt(4 * (depthAt() + row), segments.depth(row));
                to.putInt(4 * (pathStartAt() + row), segments.chain(s) ? -1 : path);
                int n = segments.chain(s) ? 0 : segments.path(s, t, nodes);
                for (int i = 0; i < n; i++) {
                    to.putInt(4 * (pathsAt() + path++), nodes[i]);
                }
            }
            for (int i = 0; accepted != null && i < accepted.size(s); i++) {
                to.putInt(4 * (acceptedAt() + first + i), accepted.row(s, i));
            }
        }
    }
}
