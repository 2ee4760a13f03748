package dev.freshet.job;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.freshet.harness.JavaProcess;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** Looks for text of prompts and for secrets where they must not be: logs, REST answers, and the names and values of metrics. */
final class ChaosLeaks {

    private static final List<String> ANSWERS = List.of(
            "/overview",
            "/config",
            "/jobs/JOB",
            "/jobs/JOB/config",
            "/jobs/JOB/plan",
            "/jobs/JOB/exceptions",
            "/jobs/JOB/checkpoints",
            "/jobs/JOB/accumulators",
            "/jobs/JOB/metrics",
            "/jobmanager/config",
            "/jobmanager/environment",
            "/jobmanager/log",
            "/jobmanager/metrics",
            "/jobmanager/thread-dump",
            "/taskmanagers",
            "/taskmanagers/taskmanager-0",
            "/taskmanagers/taskmanager-0/metrics",
            "/taskmanagers/taskmanager-0/thread-dump");

    private ChaosLeaks() {}

    /** Returns where something was found that must not be there; checks first that the search finds it where it must be. */
    static List<String> find(Path directory, FlinkProcesses flink, String job) throws Exception {
        List<String> leaks = new ArrayList<>();
        if (filesWith(directory.resolve("kafka"), PromptFeeder.CANARY).isEmpty()) {
            throw new IllegalStateException("The search does not even find the prompts in their topic");
        }
        try (Stream<Path> logs = Files.list(directory)) {
            for (Path log :
                    logs.filter(file -> file.toString().endsWith(".log")).toList()) {
                leaks.addAll(filesWith(log, PromptFeeder.CANARY));
                leaks.addAll(filesWith(log, ChaosRun.SECRET));
            }
        }
        List<String> paths = new ArrayList<>();
        ANSWERS.forEach(path -> paths.add(path.replace("JOB", job)));
        paths.addAll(metrics(flink, job));
        for (String path : paths) {
            String answer = flink.get(path);
            if (answer.isEmpty() || hides(answer)) {
                leaks.add(path + " answers " + answer.length() + " characters");
            }
        }
        for (JavaProcess process : flink.processes()) {
            if (process.isAlive()) {
                process.openToOthers().forEach(address -> leaks.add(address + " of " + process.log()));
            } else {
                leaks.add(process.log() + " is of a process that has ended by itself");
            }
        }
        return leaks;
    }

    /** The addresses of every vertex, and of the values of all its metrics. */
    private static List<String> metrics(FlinkProcesses flink, String job) throws Exception {
        ObjectMapper json = new ObjectMapper();
        List<String> paths = new ArrayList<>();
        for (JsonNode vertex : json.readTree(flink.get("/jobs/" + job)).path("vertices")) {
            String path = "/jobs/" + job + "/vertices/" + vertex.path("id").asText();
            paths.addAll(List.of(path, path + "/metrics", path + "/backpressure", path + "/watermarks"));
            for (JsonNode metric : json.readTree(flink.get(path + "/metrics"))) {
                // A name with a blank is one of Flink's own that the address cannot carry.
                String id = metric.path("id").asText();
                if (id.contains("generate") && !id.contains(" ")) {
                    paths.add(path + "/metrics?get=" + id);
                }
            }
        }
        if (paths.stream().noneMatch(path -> path.contains("?get="))) {
            throw new IllegalStateException("The search finds no metric of the operator");
        }
        return paths;
    }

    static boolean hides(String text) {
        return text.contains(PromptFeeder.CANARY) || text.contains(ChaosRun.SECRET);
    }

    private static List<String> filesWith(Path root, String text) throws IOException {
        try (Stream<Path> files = Files.walk(root)) {
            List<String> found = new ArrayList<>();
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                if (Files.readString(file, StandardCharsets.ISO_8859_1).contains(text)) {
                    found.add(file.getFileName() + " holds " + text);
                }
            }
            return found;
        }
    }
}
