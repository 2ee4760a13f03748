package dev.freshet.cli;

import dev.freshet.kernel.Kernels;
import dev.freshet.kernel.KernelsProvider;
import dev.freshet.request.ConfigError;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

/** Says what this machine can run, and why not more. */
@Command(
        name = "doctor",
        description = "Says what this machine can run and why not more: JVM, SIMD width, CUDA, kernels.")
final class DoctorCommand implements Callable<Integer> {

    private static final long MEGABYTE = 1L << 20;

    private final Terminal terminal;

    DoctorCommand(Terminal terminal) {
        this.terminal = terminal;
    }

    @Override
    public Integer call() {
        Runtime runtime = Runtime.getRuntime();
        line(
                "java",
                System.getProperty("java.vendor") + " " + Runtime.version() + " (" + System.getProperty("java.home")
                        + ")");
        line(
                "system",
                System.getProperty("os.name") + " " + System.getProperty("os.arch") + ", "
                        + runtime.availableProcessors() + " cores");
        line("heap", runtime.maxMemory() / MEGABYTE + " MiB at most; FRESHET_HEAP raises it");
        kernels(runtime.availableProcessors());
        return 0;
    }

    private void kernels(int threads) {
        List<String> names = new ArrayList<>(List.of("reference", "vector"));
        for (KernelsProvider provider : ServiceLoader.load(KernelsProvider.class)) {
            names.add(provider.name());
        }
        if (!names.contains("cuda")) {
            line("kernels cuda", "no: the CUDA module is not on the class path. Build gpu-native, or use vector.");
        }
        for (String name : names) {
            try (Kernels kernels = KernelsProvider.select(name, threads)) {
                line("kernels " + name, "yes: " + kernels.describe());
            } catch (ConfigError e) {
                line("kernels " + name, "no: " + e.getMessage());
            }
        }
        try (Kernels chosen = KernelsProvider.select("auto", threads)) {
            line("kernels auto", "takes " + chosen.name());
        }
    }

    private void line(String name, String value) {
        terminal.out().printf("%-18s %s%n", name, value);
    }
}
