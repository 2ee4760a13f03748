package dev.freshet.cuda;

import dev.freshet.kernel.Buffer;
import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.KernelsProvider;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** Runs {@link #main} in a JVM of its own, whose environment tells the emulated driver what to be. */
final class ChildProcess {

    private static final long LONGEST_SECONDS = 120;

    private ChildProcess() {}

    /** How it ended and what it wrote; a process that was stopped after two minutes has a status of the signal, not 0. */
    record Result(int status, String output) {}

    /** Runs {@link #main}. */
    static Result run(Map<String, String> environment, String... properties) {
        return run(ChildProcess.class, List.of(), environment, properties);
    }

    /** Runs the main method of a class; later properties win. */
    static Result run(Class<?> main, List<String> arguments, Map<String, String> environment, String... properties) {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of("-Xmx512m", "-XX:+UseSerialGC", "-cp", System.getProperty("java.class.path")));
        command.add("-Dfreshet.driver=" + System.getProperty("freshet.driver"));
        command.addAll(List.of(properties));
        command.add(main.getName());
        command.addAll(arguments);
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().putAll(environment);
        try {
            Process process = builder.start();
            // Stopping it also ends the reading, which would otherwise wait as long as a kernel that loops.
            CompletableFuture.delayedExecutor(LONGEST_SECONDS, TimeUnit.SECONDS).execute(process::destroyForcibly);
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return new Result(process.waitFor(), output);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** Prints the obstacle of the backend; runs operations for as long as there is none and the process lives. */
    public static void main(String[] arguments) {
        if (!Boolean.getBoolean("no.driver")) {
            FakeDriver.load();
        }
        KernelsProvider provider = new CudaProvider();
        System.out.println("obstacle: " + provider.obstacle());
        if (!provider.obstacle().isEmpty()) {
            return;
        }
        try (Kernels kernels = provider.open(1)) {
            System.out.println(kernels.describe());
            Buffer x = kernels.upload(new float[] {1, 2, 3, 4});
            for (int i = 0; i < 100; i++) {
                kernels.gelu(x, 4);
            }
            kernels.read(x, 0, new float[4], 0, 4);
            System.out.println("done");
        }
    }
}
