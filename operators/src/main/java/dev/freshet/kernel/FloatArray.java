package dev.freshet.kernel;

/** A buffer of the CPU backends: a plain array. */
final class FloatArray implements Buffer {

    final float[] data;

    FloatArray(int length) {
        data = new float[length];
    }

    FloatArray(float[] data) {
        this.data = data;
    }

    /** The array behind a buffer of this backend. */
    static float[] of(Buffer buffer) {
        return ((FloatArray) buffer).data;
    }

    @Override
    public long length() {
        return data.length;
    }
}
