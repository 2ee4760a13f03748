/** Benchmarks of single kernels. */
@org.jspecify.annotations.NullMarked
package dev.freshet.benchmark;
