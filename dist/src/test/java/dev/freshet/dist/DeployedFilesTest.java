package dev.freshet.dist;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.freshet.job.ConfigFile;
import dev.freshet.job.JobOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Images, compose files, manifests and monitoring: what can be known about them without Docker and Kubernetes. */
class DeployedFilesTest {

    private static final List<String> COMPOSE = List.of("docker-compose.yml", "docker-compose.gpu.yml");
    private static final List<String> MANIFESTS = List.of(
            "deploy/kubernetes/application.yaml",
            "deploy/kubernetes/application-gpu.yaml",
            "deploy/kubernetes/session.yaml");
    private static final Pattern PINNED = Pattern.compile("[\\w./-]+:v?\\d+\\.\\d+\\.\\d+[\\w.-]*");
    private static final Pattern FROM = Pattern.compile("(?m)^FROM (\\S+) AS (\\w+)$");
    private static final Pattern COPY = Pattern.compile("(?m)^COPY --chown=flink:flink (\\S+) (\\S+)$");

    private static String text(String file) throws IOException {
        return Files.readString(Deployed.ROOT.resolve(file));
    }

    private static String dockerfile() throws IOException {
        return text("deploy/Dockerfile");
    }

    private static List<JsonNode> manifests(String kind) throws IOException {
        List<JsonNode> found = new ArrayList<>();
        for (String file : MANIFESTS) {
            for (JsonNode document : Deployed.yaml(file)) {
                if (document.path("kind").asText().equals(kind)) {
                    found.add(document);
                }
            }
        }
        return found;
    }

    private static JobOptions options(Path directory, String yaml) throws IOException {
        Path file = Files.writeString(directory.resolve("freshet.yaml"), yaml);
        return JobOptions.of(ConfigFile.read(file, Map.of()));
    }

    @Test
    void everyImageHasAVersion() throws IOException {
        List<String> images = new ArrayList<>();
        Matcher from = FROM.matcher(dockerfile());
        while (from.find()) {
            images.add(from.group(1));
        }
        assertThat(images).hasSize(2).endsWith("cpu");
        images.remove("cpu");
        for (String file : COMPOSE) {
            for (JsonNode document : Deployed.yaml(file)) {
                document.findValuesAsText("image").forEach(images::add);
            }
        }
        for (JsonNode deployment : manifests("FlinkDeployment")) {
            images.add(deployment.path("spec").path("image").asText());
        }
        assertThat(images).hasSizeGreaterThan(8).allMatch(image -> PINNED.matcher(image)
                .matches());
    }

    @Test
    void theFlinkOfTheImageIsTheOneOfTheTests() throws IOException {
        String version = org.apache.flink.runtime.util.EnvironmentInformation.getVersion();
        assertThat(dockerfile()).contains("FROM flink:" + version + "-java17 AS cpu");
        for (JsonNode deployment : manifests("FlinkDeployment")) {
            assertThat(deployment.path("spec").path("flinkVersion").asText())
                    .isEqualTo("v" + version.replaceAll("\\.\\d+$", "").replace('.', '_'));
        }
        String kafka = org.apache.kafka.common.utils.AppInfoParser.getVersion();
        assertThat(Deployed.service("kafka").path("image").asText()).isEqualTo("apache/kafka:" + kafka);
    }

    @Test
    void noImageRunsAsRoot() throws IOException {
        for (String stage : dockerfile().split("(?m)^FROM ")) {
            if (stage.contains(" AS ")) {
                Matcher user = Pattern.compile("(?m)^USER (\\S+)$").matcher(stage);
                String last = user.results()
                        .map(found -> found.group(1))
                        .reduce((a, b) -> b)
                        .orElse("");
                assertThat(last).isEqualTo("9999:9999");
            }
        }
        for (JsonNode deployment : manifests("FlinkDeployment")) {
            JsonNode pod = deployment.at("/spec/podTemplate/spec/securityContext");
            assertThat(pod.path("runAsNonRoot").asBoolean()).isTrue();
            assertThat(pod.path("runAsUser").asInt()).isEqualTo(9999);
        }
    }

    @Test
    void whatTheImageCopiesIsThereAfterABuildAndSentToDocker() throws IOException {
        String ignored = text(".dockerignore");
        Matcher copy = COPY.matcher(dockerfile());
        int copied = 0;
        while (copy.find()) {
            copied++;
            String source = copy.group(1).replace("${JOB}", "dist/target/job");
            assertThat(Deployed.ROOT.resolve(source)).exists();
            assertThat(ignored.lines().filter(line -> line.startsWith("!")).map(line -> line.substring(1)))
                    .anyMatch(kept -> source.startsWith(kept));
        }
        assertThat(copied).isEqualTo(5);
    }

    @Test
    void mountedFilesExistAndPortsAreOpenToThisMachineOnly() throws IOException {
        JsonNode services = Deployed.yaml("docker-compose.yml").get(0).path("services");
        JsonNode volumes = Deployed.yaml("docker-compose.yml").get(0).path("volumes");
        int ports = 0;
        for (Map.Entry<String, JsonNode> service : services.properties()) {
            for (JsonNode port : service.getValue().path("ports")) {
                assertThat(port.asText()).startsWith("127.0.0.1:");
                ports++;
            }
            for (JsonNode volume : Deployed.service(service.getKey()).path("volumes")) {
                String source = volume.asText().split(":")[0];
                if (source.startsWith("./")) {
                    assertThat(Deployed.ROOT.resolve(source)).isDirectory();
                } else {
                    assertThat(volumes.has(source)).as(source).isTrue();
                }
            }
        }
        assertThat(ports).isEqualTo(5);
    }

    @Test
    void theGpuOverlayChangesOnlyServicesThatThereAre() throws IOException {
        JsonNode services = Deployed.yaml("docker-compose.yml").get(0).path("services");
        JsonNode overlay = Deployed.yaml("docker-compose.gpu.yml").get(0).path("services");
        overlay.fieldNames()
                .forEachRemaining(name -> assertThat(services.has(name)).isTrue());
        List<String> command = new ArrayList<>();
        overlay.path("jobmanager").path("command").forEach(word -> command.add(word.asText()));
        assertThat(command).startsWith(Deployed.command("jobmanager").toArray(String[]::new));
        assertThat(overlay.at("/taskmanager/deploy/resources/reservations/devices/0/capabilities/0")
                        .asText())
                .isEqualTo("gpu");
    }

    @Test
    void everyDeployedConfigurationOfTheJobIsValid(@TempDir Path directory) throws IOException {
        assertThat(options(directory, text("deploy/freshet.yaml")).name()).isEqualTo("freshet");
        List<JsonNode> configurations = manifests("ConfigMap");
        assertThat(configurations).hasSize(MANIFESTS.size());
        for (JsonNode configuration : configurations) {
            JobOptions options = options(
                    directory, configuration.path("data").path("freshet.yaml").asText());
            assertThat(options.checkpoints().directory()).startsWith("/opt/freshet/state");
        }
    }

    @Test
    void manifestsStartWhatTheComposeFileStarts() throws IOException {
        String jar = "/opt/flink/usrlib/freshet-job.jar";
        assertThat(dockerfile()).contains(jar);
        List<String> command = Deployed.command("jobmanager");
        List<JsonNode> jobs = new ArrayList<>();
        for (JsonNode deployment : manifests("FlinkDeployment")) {
            JsonNode job = deployment.at("/spec/job");
            if (!job.isMissingNode()) {
                assertThat(job.path("jarURI").asText()).isEqualTo("local://" + jar);
                jobs.add(job);
            }
        }
        manifests("FlinkSessionJob").forEach(job -> jobs.add(job.at("/spec/job")));
        assertThat(jobs).hasSize(MANIFESTS.size());
        for (JsonNode job : jobs) {
            assertThat(command)
                    .containsSequence("--job-classname", job.path("entryClass").asText());
            assertThat(job.at("/args/0").asText()).isEqualTo(command.get(command.size() - 1));
            assertThat(job.path("upgradeMode").asText()).isEqualTo("savepoint");
        }
    }

    @Test
    void flinkIsConfiguredAlikeEverywhere() throws IOException {
        JsonNode image = Deployed.yaml("deploy/flink/config.yaml").get(0);
        for (JsonNode deployment : manifests("FlinkDeployment")) {
            JsonNode settings = deployment.at("/spec/flinkConfiguration");
            for (String key : List.of(
                    "jobmanager.execution.failover-strategy",
                    "taskmanager.jvm-exit-on-oom",
                    "env.java.opts.taskmanager",
                    "rest.profiling.enabled",
                    "web.cancel.enable",
                    "metrics.reporter.prom.factory.class",
                    "metrics.reporter.prom.port")) {
                assertThat(settings.path(key).asText())
                        .as(key)
                        .isNotEmpty()
                        .isEqualTo(image.path(key).asText());
            }
        }
        assertThat(Deployed.yaml("deploy/prometheus/prometheus.yml")
                        .get(0)
                        .at("/scrape_configs/0/dns_sd_configs/0/port")
                        .asInt())
                .isEqualTo(image.path("metrics.reporter.prom.port").asInt());
    }

    @Test
    void theDashboardIsWhereGrafanaLooksAndAsksOnlyItsDataSource() throws IOException {
        JsonNode dashboard = new ObjectMapper().readTree(text("deploy/grafana/dashboards/freshet.json"));
        assertThat(dashboard.path("panels")).hasSizeGreaterThan(20);
        assertThat(text("deploy/grafana/dashboards/freshet.json")).doesNotContain("\"uid\": null");
        String provisioned = Deployed.yaml("deploy/grafana/provisioning/dashboards/freshet.yaml")
                .get(0)
                .at("/providers/0/options/path")
                .asText();
        assertThat(Deployed.service("grafana").path("volumes").toString())
                .contains("./deploy/grafana/dashboards:" + provisioned);
        assertThat(Deployed.environment("grafana").get("GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"))
                .isEqualTo(provisioned + "/freshet.json");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"check rules deploy/prometheus/alerts.yml", "check config deploy/prometheus/prometheus.yml"})
    void prometheusAcceptsRulesAndConfiguration(String command) throws Exception {
        assumeTrue(
                Stream.of(Objects.requireNonNullElse(System.getenv("PATH"), "").split(":", -1))
                        .anyMatch(folder -> Files.isExecutable(Path.of(folder, "promtool"))),
                "promtool is not installed");
        List<String> words = new ArrayList<>(List.of("promtool"));
        words.addAll(List.of(command.split(" ")));
        Process promtool = new ProcessBuilder(words)
                .directory(Deployed.ROOT.toFile())
                .redirectErrorStream(true)
                .start();
        String said = new String(promtool.getInputStream().readAllBytes(), java.nio.charset.StandardCharsets.UTF_8);
        assertThat(promtool.waitFor()).as(said).isZero();
    }

    @Test
    void everyAlertIsExplained() throws IOException {
        String manual = text("docs/operations.md");
        for (JsonNode rule :
                Deployed.yaml("deploy/prometheus/alerts.yml").get(0).at("/groups/0/rules")) {
            assertThat(manual).contains("`" + rule.path("alert").asText() + "`");
        }
    }
}
