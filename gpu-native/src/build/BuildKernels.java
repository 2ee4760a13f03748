import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Builds the CUDA kernels where a compiler is found: with nvcc the images that go into the jar (PTX of ISA 8.0, cubins), with g++ the
 * emulator that the tests run on. Run by Maven as a source file; only what changed is compiled again.
 */
final class BuildKernels {

    /** Contraction of products and sums is written out in the sources, so that every form of a kernel has the same bits. */
    private static final List<String> NVCC_FLAGS = List.of("-std=c++17", "-O3", "-fmad=false", "-ptx", "-arch=compute_80");

    private static final List<String> GXX_FLAGS = List.of(
            "-std=c++17", "-O2", "-ffp-contract=off", "-fPIC", "-ftls-model=initial-exec", "-fvisibility=hidden", "-DEMULATOR", "-Wall", "-Wextra", "-Werror",
            "-Wno-unknown-pragmas", "-Wno-unused-function");

    private static final List<String> TARGETS = List.of("sm_80", "sm_90a");

    private static final Pattern ENTRY = Pattern.compile("\\.entry (\\w+)\\(\\s*\\.param \\.align \\d+ \\.b8 \\w+\\[(\\d+)]");
    private static final Pattern KERNEL = Pattern.compile("(?m)^KERNEL\\((\\w+), \\w+, (\\w+)\\)");
    private static final Pattern INCLUDE = Pattern.compile("(?m)^#include \"(\\w+\\.(?:h|cuh))\"");
    private static final Pattern SPILL = Pattern.compile("([1-9]\\d*) bytes spill");

    private final Path sources;
    private final Path emulator;
    private final Path work;
    private final Path images;
    private final String nvccOption;
    private final boolean required;

    /** Size of a kernel's argument and the unit that holds it. */
    private record Entry(String unit, int paramBytes) {}

    private BuildKernels(Map<String, String> options) {
        sources = Path.of(options.get("sources"));
        emulator = Path.of(options.get("emulator"));
        work = Path.of(options.get("work"));
        images = Path.of(options.get("images"));
        nvccOption = options.getOrDefault("nvcc", "");
        required = Boolean.parseBoolean(options.get("required"));
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (String argument : arguments) {
            int at = argument.indexOf('=');
            options.put(argument.substring(2, at), argument.substring(at + 1));
        }
        try {
            new BuildKernels(options).run();
        } catch (IllegalStateException e) {
            System.err.println("[ERROR] " + e.getMessage());
            System.exit(1);
        }
    }

    private void run() throws Exception {
        Files.createDirectories(work);
        boolean emulatorOnly = images.toString().equals("none");
        String nvcc = emulatorOnly
                ? ""
                : find(nvccOption, "nvcc", List.of("CUDA_HOME", "CUDA_PATH"), "/usr/local/cuda/bin/nvcc");
        String gxx = find("", "g++", List.of(), "");
        Map<String, Entry> device = new TreeMap<>();
        if (!nvcc.isEmpty()) {
            device = compileImages(nvcc);
        } else if (required) {
            throw new IllegalStateException("Cannot build the CUDA kernels: expected nvcc on the PATH, below CUDA_HOME or as"
                    + " -Dnvcc=FILE, got none. Install the CUDA toolkit, or build without -Dgpu.required=true.");
        } else if (!emulatorOnly) {
            System.out.println("[WARNING] Building without CUDA kernels: nvcc was not found (PATH, CUDA_HOME, -Dnvcc=FILE)."
                    + " --kernels cuda will not be available.");
            deleteContent(images);
        }
        if (gxx.isEmpty()) {
            System.out.println("[WARNING] Not testing the CUDA kernels: g++ was not found. Install it to run them on the emulator.");
            Files.deleteIfExists(work.resolve("libcuda.so.1"));
            return;
        }
        if (!System.getProperty("os.name").equals("Linux") || !System.getProperty("os.arch").equals("amd64")) {
            System.out.println("[WARNING] Not testing the CUDA kernels: the emulator needs Linux on x86-64.");
            return;
        }
        Map<String, Entry> host = compileEmulator(gxx);
        if (!device.isEmpty() && !device.equals(host)) {
            throw new IllegalStateException("Cannot build the CUDA kernels: expected the same kernels and argument sizes from nvcc and"
                    + " g++, got " + device + " and " + host + ". Give the parameter structs a layout without padding surprises.");
        }
        writeStandIns(host);
    }

    /** A tool by option, environment, PATH or usual place; empty when absent. */
    private static String find(String option, String name, List<String> homes, String usual) {
        List<String> candidates = new ArrayList<>();
        if (!option.isBlank()) {
            if (!Files.isExecutable(Path.of(option))) {
                throw new IllegalStateException(
                        "Cannot build the CUDA kernels: -Dnvcc expected an executable file, got " + option + ".");
            }
            return option;
        }
        for (String folder : System.getenv().getOrDefault("PATH", "").split(File.pathSeparator)) {
            candidates.add(folder + "/" + name);
        }
        for (String home : homes) {
            if (System.getenv(home) != null) {
                candidates.add(System.getenv(home) + "/bin/" + name);
            }
        }
        candidates.add(usual);
        for (String candidate : candidates) {
            if (!candidate.isEmpty() && Files.isExecutable(Path.of(candidate))) {
                return candidate;
            }
        }
        return "";
    }

    private List<Path> units() throws IOException {
        try (Stream<Path> files = Files.list(sources)) {
            return files.filter(f -> f.toString().endsWith(".cu")).sorted().toList();
        }
    }

    private static String unit(Path source) {
        return source.getFileName().toString().replace(".cu", "");
    }

    /** Text of a source and of all headers that it includes, directly or not; a change of another header is none to it. */
    private static String withHeaders(Path source, List<Path> folders) throws IOException {
        StringBuilder text = new StringBuilder();
        Deque<Path> left = new ArrayDeque<>(List.of(source));
        Set<Path> seen = new HashSet<>();
        while (!left.isEmpty()) {
            Path file = left.pop();
            if (!seen.add(file)) {
                continue;
            }
            String content = Files.readString(file);
            text.append(content);
            Matcher m = INCLUDE.matcher(content);
            while (m.find()) {
                for (Path folder : folders) {
                    if (Files.exists(folder.resolve(m.group(1)))) {
                        left.push(folder.resolve(m.group(1)));
                    }
                }
            }
        }
        return text.toString();
    }

    private static String sha256(String text) {
        try {
            return HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private interface Job {
        void run() throws Exception;
    }

    private static void parallel(List<Job> jobs) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(Math.min(4, Runtime.getRuntime().availableProcessors()));
        try {
            List<Future<?>> futures = new ArrayList<>();
            for (Job job : jobs) {
                futures.add(pool.submit(() -> {
                    job.run();
                    return null;
                }));
            }
            for (Future<?> future : futures) {
                future.get();
            }
        } catch (ExecutionException e) {
            throw e.getCause() instanceof IllegalStateException cause ? cause : e;
        } finally {
            pool.shutdownNow();
        }
    }

    /** Runs a job unless its stamp says that it was done with the same input. */
    private void unlessDone(String name, String input, Job job) throws Exception {
        Path stamp = work.resolve(name + ".stamp");
        String hash = sha256(input);
        if (Files.exists(stamp) && Files.readString(stamp).equals(hash)) {
            return;
        }
        Files.deleteIfExists(stamp);
        job.run();
        Files.writeString(stamp, hash);
    }

    private static String call(List<String> command) throws Exception {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new IllegalStateException("Cannot build the CUDA kernels: " + String.join(" ", command) + " failed:\n" + output);
        }
        return output;
    }

    private Map<String, Entry> compileImages(String nvcc) throws Exception {
        Files.createDirectories(images);
        String common = NVCC_FLAGS + "" + TARGETS + call(List.of(nvcc, "--version"));
        List<Job> jobs = new ArrayList<>();
        StringBuilder all = new StringBuilder(common);
        for (Path source : units()) {
            String text = withHeaders(source, List.of(sources));
            all.append(text);
            if (!Files.exists(images.resolve(unit(source) + ".compute_80.ptx"))) {
                Files.deleteIfExists(work.resolve("image-" + unit(source) + ".stamp"));
            }
            jobs.add(() -> unlessDone("image-" + unit(source), common + text, () -> compileImage(nvcc, source)));
        }
        parallel(jobs);
        Map<String, Entry> entries = new TreeMap<>();
        for (Path source : units()) {
            Matcher m = ENTRY.matcher(Files.readString(images.resolve(unit(source) + ".compute_80.ptx")));
            while (m.find()) {
                entries.put(m.group(1), new Entry(unit(source), Integer.parseInt(m.group(2))));
            }
        }
        Files.writeString(images.resolve("kernels.json"), json(entries, sha256(all.toString()), TARGETS));
        return entries;
    }

    private void compileImage(String nvcc, Path source) throws Exception {
        String unit = unit(source);
        Path ptx = images.resolve(unit + ".compute_80.ptx");
        Path raw = work.resolve(unit + ".ptx");
        List<String> command = new ArrayList<>(List.of(nvcc));
        command.addAll(NVCC_FLAGS);
        command.addAll(List.of("-o", raw.toString(), source.toString()));
        call(command);
        // Nothing in dev.cuh needs more than ISA 8.0, and only that runs on the drivers of CUDA 12.
        String text = Files.readString(raw).replaceFirst("(?m)^\\.version [0-9.]+", ".version 8.0");
        // A hint of newer compilers about bytes that are not read; without it nothing changes.
        Files.writeString(ptx, text.replaceAll("(?m)^\\s*\\.pragma \"used_bytes_mask [^\n]*\n", ""));
        for (String target : TARGETS) {
            Path cubin = images.resolve(unit + "." + target + ".cubin");
            String log = call(List.of(
                    nvcc, "-cubin", "-arch=" + target, "-Xptxas", "-v", "-o", cubin.toString(), ptx.toString()));
            if (SPILL.matcher(log).find()) {
                throw new IllegalStateException("Cannot build the CUDA kernels: expected no register spills in " + unit + " for "
                        + target + ", got\n" + log + "Use fewer registers or fewer threads a block.");
            }
        }
    }

    private Map<String, Entry> compileEmulator(String gxx) throws Exception {
        String common = GXX_FLAGS + call(List.of(gxx, "--version"));
        List<Path> inputs = new ArrayList<>(units());
        try (Stream<Path> files = Files.list(emulator)) {
            files.filter(f -> f.toString().endsWith(".cpp")).sorted().forEach(inputs::add);
        }
        List<Job> jobs = new ArrayList<>();
        StringBuilder all = new StringBuilder(common);
        List<String> objects = new ArrayList<>();
        for (Path source : inputs) {
            String text = withHeaders(source, List.of(sources, emulator));
            all.append(text);
            Path object = work.resolve(source.getFileName() + ".o");
            objects.add(object.toString());
            jobs.add(() -> unlessDone("emulated-" + source.getFileName(), common + text, () -> {
                List<String> command = new ArrayList<>(List.of(gxx));
                command.addAll(GXX_FLAGS);
                if (!source.toString().endsWith(".cu")) {
                    command.remove("-DEMULATOR");
                }
                command.addAll(List.of("-I" + emulator, "-I" + sources, "-c", "-x", "c++", source.toString(), "-o", object.toString()));
                call(command);
            }));
        }
        parallel(jobs);
        Path library = work.resolve("libcuda.so.1");
        Path lister = work.resolve("list-kernels");
        if (!Files.exists(library)) {
            Files.deleteIfExists(work.resolve("emulator.stamp"));
        }
        unlessDone("emulator", all.toString(), () -> {
            List<String> command = new ArrayList<>(List.of(gxx, "-shared", "-Wl,-soname,libcuda.so.1", "-Wl,-z,lazy", "-o", library.toString()));
            command.addAll(objects.stream().filter(o -> !o.endsWith("list_kernels.cpp.o")).toList());
            command.add("-lpthread");
            call(command);
            command = new ArrayList<>(List.of(gxx, "-o", lister.toString()));
            command.addAll(objects.stream().filter(o -> !o.endsWith("fake_driver.cpp.o")).toList());
            command.add("-lpthread");
            call(command);
        });
        Map<String, Entry> entries = new TreeMap<>();
        Map<String, String> unitOf = new HashMap<>();
        for (Path source : units()) {
            Matcher m = KERNEL.matcher(Files.readString(source));
            while (m.find()) {
                unitOf.put(m.group(1), unit(source));
            }
        }
        for (String line : call(List.of(lister.toString())).split("\n")) {
            String[] parts = line.split(" ");
            entries.put(parts[0], new Entry(String.valueOf(unitOf.get(parts[0])), Integer.parseInt(parts[1])));
        }
        return entries;
    }

    /** Images that only the fake driver takes, so that its tests need no nvcc. */
    private void writeStandIns(Map<String, Entry> entries) throws IOException {
        Path folder = work.resolve("stand-ins/kernels");
        Files.createDirectories(folder);
        for (Path source : units()) {
            Files.writeString(folder.resolve(unit(source) + ".compute_80.ptx"), "// stands in for the image of the emulator\n");
        }
        Files.writeString(folder.resolve("kernels.json"), json(entries, "emulator", List.of()));
    }

    private static String json(Map<String, Entry> entries, String sources, List<String> targets) {
        StringBuilder out = new StringBuilder("{\n  \"sources\": \"" + sources + "\",\n  \"targets\": [");
        out.append(String.join(", ", targets.stream().map(t -> "\"" + t + "\"").toList()));
        out.append("],\n  \"kernels\": {\n");
        List<String> lines = new ArrayList<>();
        entries.forEach((name, e) ->
                lines.add("    \"" + name + "\": {\"unit\": \"" + e.unit + "\", \"paramBytes\": " + e.paramBytes + "}"));
        return out.append(String.join(",\n", lines)).append("\n  }\n}\n").toString();
    }

    private static void deleteContent(Path folder) throws IOException {
        if (Files.isDirectory(folder)) {
            try (Stream<Path> files = Files.list(folder)) {
                for (Path f : files.toList()) {
                    Files.delete(f);
                }
            }
        }
    }
}
