package dev.freshet.cuda;

import jcuda.driver.CUdeviceptr;

/** A device pointer whose number can be read, for structs that hold pointers. */
final class Address extends CUdeviceptr {

    /** The address itself. */
    long value() {
        return getNativePointer() + getByteOffset();
    }
}
