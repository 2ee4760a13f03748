package dev.freshet.harness;

import java.io.File;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** A Java process on this process's class path, with its output in a file. Only its own process id is ever signalled. */
public final class JavaProcess implements AutoCloseable {

    private static final String LISTEN = "0A";
    private static final String LOOPBACK_4 = "0100007F";
    private static final String LOOPBACK_6 = "00000000000000000000000001000000";

    private final Process process;
    private final Path log;

    private JavaProcess(Process process, Path log) {
        this.process = process;
        this.log = log;
    }

    /**
     * Starts a process.
     *
     * @param name name of the log file in the directory; a second process of the same name appends to it
     * @param flags of the JVM
     * @param main class with the main method
     * @param arguments of the main method
     */
    public static JavaProcess start(
            String name, Path directory, List<String> flags, String main, List<String> arguments) throws IOException {
        List<String> all = new ArrayList<>(flags);
        all.add("-Dorg.apache.avro.SERIALIZABLE_PACKAGES=dev.freshet");
        return start(name, directory, Map.of(), System.getProperty("java.class.path"), all, main, arguments);
    }

    /** Starts a process on a class path of its own, with more environment variables; otherwise as the other. */
    public static JavaProcess start(
            String name,
            Path directory,
            Map<String, String> environment,
            String classPath,
            List<String> flags,
            String main,
            List<String> arguments)
            throws IOException {
        Path log = directory.resolve(name + ".log");
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(flags);
        command.add("-XX:+UseSerialGC");
        command.add("-XX:TieredStopAtLevel=1");
        command.add("-cp");
        command.add(classPath);
        command.add(main);
        command.addAll(arguments);
        ProcessBuilder builder = new ProcessBuilder(command)
                .directory(directory.toFile())
                .redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(new File(log.toString())));
        builder.environment().putAll(environment);
        return new JavaProcess(builder.start(), log);
    }

    /** Waits for its end and returns its exit status; one that does not end in time is killed. */
    public int await(Duration patience) throws InterruptedException {
        if (!process.waitFor(patience.toMillis(), TimeUnit.MILLISECONDS)) {
            kill();
            throw new IllegalStateException("Not ended within " + patience + "; see " + log);
        }
        return process.exitValue();
    }

    /** Its output so far and that of its namesakes. */
    public Path log() {
        return log;
    }

    /** Whether it runs. */
    public boolean isAlive() {
        return process.isAlive();
    }

    /** Ends it at once, as kill -9 does, and returns when it is gone. */
    public void kill() throws InterruptedException {
        process.destroyForcibly();
        if (!process.waitFor(30, TimeUnit.SECONDS)) {
            throw new IllegalStateException("Process " + process.pid() + " does not die");
        }
    }

    /** Stops it as if it hung, for {@link #resume()}. */
    public void freeze() throws IOException, InterruptedException {
        signal("-STOP");
    }

    /** Lets it go on. */
    public void resume() throws IOException, InterruptedException {
        signal("-CONT");
    }

    private void signal(String signal) throws IOException, InterruptedException {
        Process kill = new ProcessBuilder("kill", signal, String.valueOf(process.pid())).start();
        if (kill.waitFor() != 0) {
            throw new IOException("Cannot send " + signal + " to process " + process.pid());
        }
    }

    /** Returns the local addresses, as the kernel writes them, on which it listens for other machines too. */
    public List<String> openToOthers() throws IOException {
        Path proc = Path.of("/proc", String.valueOf(process.pid()));
        Set<String> own = new HashSet<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(proc.resolve("fd"))) {
            for (Path file : files) {
                own.add(Files.readSymbolicLink(file).toString());
            }
        }
        List<String> open = new ArrayList<>();
        for (String table : List.of("net/tcp", "net/tcp6")) {
            for (String line : Files.readAllLines(proc.resolve(table))) {
                String[] fields = line.strip().split("\\s+");
                String address = fields[1].split(":")[0];
                boolean loopback = address.endsWith(LOOPBACK_4) || address.equals(LOOPBACK_6);
                if (fields[3].equals(LISTEN) && own.contains("socket:[" + fields[9] + "]") && !loopback) {
                    open.add(fields[1]);
                }
            }
        }
        return open;
    }

    @Override
    public void close() throws InterruptedException {
        kill();
    }
}
