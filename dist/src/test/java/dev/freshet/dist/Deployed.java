package dev.freshet.dist;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The files that are deployed, as the tests read them. */
final class Deployed {

    static final Path ROOT = Path.of(System.getProperty("freshet.root", ".."));
    static final Path JOB_JAR = ROOT.resolve("dist/target/job/freshet-job.jar");

    private static final Pattern METRIC = Pattern.compile("\\bflink_(?:task|job)manager_\\w+");

    private Deployed() {}

    /** Reads every document of a YAML file under the root; merge keys are resolved by {@link #service}. */
    static List<JsonNode> yaml(String file) throws IOException {
        YAMLMapper mapper = new YAMLMapper();
        List<JsonNode> documents = new ArrayList<>();
        try (var parser = mapper.getFactory().createParser(Files.readString(ROOT.resolve(file)))) {
            mapper.readValues(parser, JsonNode.class).forEachRemaining(documents::add);
        }
        return documents;
    }

    /** One service of docker-compose.yml, with what its {@code x-} part adds. */
    static JsonNode service(String name) throws IOException {
        org.yaml.snakeyaml.Yaml yaml = new org.yaml.snakeyaml.Yaml();
        Object root = yaml.load(Files.readString(ROOT.resolve("docker-compose.yml")));
        return new ObjectMapper().valueToTree(root).path("services").path(name);
    }

    /** The command of a service, word by word. */
    static List<String> command(String service) throws IOException {
        List<String> words = new ArrayList<>();
        service(service).path("command").forEach(word -> words.add(word.asText()));
        return words;
    }

    /** The environment of a service. */
    static Map<String, String> environment(String service) throws IOException {
        Map<String, String> environment = new LinkedHashMap<>();
        for (Map.Entry<String, JsonNode> entry :
                service(service).path("environment").properties()) {
            environment.put(entry.getKey(), entry.getValue().asText());
        }
        return environment;
    }

    /** Every metric that the Grafana dashboard or an alert rule asks for. */
    static Set<String> metricNames() throws IOException {
        Set<String> names = new TreeSet<>();
        for (String file : List.of("deploy/grafana/dashboards/freshet.json", "deploy/prometheus/alerts.yml")) {
            Matcher matcher = METRIC.matcher(Files.readString(ROOT.resolve(file)));
            while (matcher.find()) {
                names.add(matcher.group());
            }
        }
        return names;
    }

    /** Every metric of the operator that docs/operations.md describes. */
    static Set<String> documentedMetrics() throws IOException {
        Set<String> names = new TreeSet<>();
        String manual = Files.readString(ROOT.resolve("docs/operations.md"));
        String table = manual.substring(manual.indexOf("| metric | meaning |"), manual.indexOf("### Alerts"));
        for (String row : table.lines().skip(2).toList()) {
            String named = row.startsWith("| ") ? row.substring(0, row.indexOf(" | ", 2)) : "";
            Matcher matcher = Pattern.compile("`(\\w+)`").matcher(named.replace(" with `finishedReason`", ""));
            while (matcher.find()) {
                names.add(matcher.group(1));
            }
        }
        return names;
    }
}
