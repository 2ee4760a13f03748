/** The GPU backend: CUDA kernels run through the CUDA driver interface. Knows nothing of what attention kinds mean. */
@org.jspecify.annotations.NullMarked
package dev.freshet.cuda;
