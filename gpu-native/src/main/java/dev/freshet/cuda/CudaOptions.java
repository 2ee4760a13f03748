package dev.freshet.cuda;

import dev.freshet.request.ConfigError;

/**
 * Settings of the backend, from system properties (FRESHET_JAVA="-Dfreshet.cuda.timeout.ms=60000").
 *
 * @param timeoutMillis longest time that the device may take for what was given to it before the process ends
 * @param graphs whether passes are replayed as CUDA graphs
 */
record CudaOptions(long timeoutMillis, boolean graphs) {

    private static final String TIMEOUT = "freshet.cuda.timeout.ms";
    private static final String GRAPHS = "freshet.cuda.graphs";

    /** Reads the system properties; a minute and graphs by default. */
    static CudaOptions fromProperties() {
        String timeout = System.getProperty(TIMEOUT, "60000");
        try {
            long millis = Long.parseLong(timeout);
            if (millis > 0) {
                return new CudaOptions(millis, Boolean.parseBoolean(System.getProperty(GRAPHS, "true")));
            }
        } catch (NumberFormatException e) {
            // Said below, as for numbers out of range.
        }
        throw new ConfigError("Cannot use kernels cuda: " + TIMEOUT + " expected a number of milliseconds above 0, got "
                + timeout + ". Correct -D" + TIMEOUT + ".");
    }
}
