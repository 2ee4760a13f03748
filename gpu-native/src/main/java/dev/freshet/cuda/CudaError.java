package dev.freshet.cuda;

/** A call of the CUDA driver that failed. */
public final class CudaError extends RuntimeException {

    private final int status;

    /** what names the call in words, hint says what to do. */
    CudaError(String what, int status, String hint) {
        super("Cannot " + what + ": expected CUDA_SUCCESS, got " + CudaStatus.name(status) + " (" + status + "). "
                + hint);
        this.status = status;
    }

    /** Status of the driver, a CUresult. */
    public int status() {
        return status;
    }
}
