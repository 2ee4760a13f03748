package dev.freshet.cuda;

import jcuda.driver.CUresult;

/** What the statuses of the driver mean for this backend. */
final class CudaStatus {

    private CudaStatus() {}

    static String name(int status) {
        return CUresult.stringFor(status);
    }

    /** Whether every later call of this process will fail too: the context is lost or the device cannot be trusted. */
    static boolean fatal(int status) {
        return switch (status) {
            case CUresult.CUDA_ERROR_ECC_UNCORRECTABLE,
                    CUresult.CUDA_ERROR_NVLINK_UNCORRECTABLE,
                    CUresult.CUDA_ERROR_ILLEGAL_ADDRESS,
                    CUresult.CUDA_ERROR_LAUNCH_TIMEOUT,
                    CUresult.CUDA_ERROR_ASSERT,
                    CUresult.CUDA_ERROR_HARDWARE_STACK_ERROR,
                    CUresult.CUDA_ERROR_ILLEGAL_INSTRUCTION,
                    CUresult.CUDA_ERROR_MISALIGNED_ADDRESS,
                    CUresult.CUDA_ERROR_INVALID_ADDRESS_SPACE,
                    CUresult.CUDA_ERROR_INVALID_PC,
                    CUresult.CUDA_ERROR_LAUNCH_FAILED,
                    CUresult.CUDA_ERROR_CONTEXT_IS_DESTROYED,
                    CUresult.CUDA_ERROR_UNKNOWN -> true;
            default -> false;
        };
    }

    static String hint(int status) {
        if (status == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
            return "Use fewer slots, a shorter --context or --weights int8, or free the device (nvidia-smi lists its processes).";
        }
        return fatal(status)
                ? "The device cannot be trusted any more. Start again; if it happens again, look into dmesg for Xid lines."
                : "This is a bug of the GPU backend; --kernels vector does without it.";
    }
}
