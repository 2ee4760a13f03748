import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * Takes pictures of Flink's dashboard while a job runs: its graph, and metrics of the operator that generates. Needs Chromium.
 *
 * <pre>
 * ./freshet demo --keep-running --prompts 3000
 * java -cp 'pipeline/target/lib/*' bin/DashboardPictures.java http://localhost:8081 target/pictures
 * </pre>
 */
final class DashboardPictures {

    private static final List<String> METRICS = List.of(
            "generationTokensPerSecond",
            "numRequestsRunning",
            "numRequestsWaiting",
            "timeToFirstTokenMsP50",
            "interTokenLatencyMsP50",
            "specAcceptanceLength");
    private static final int WIDTH = 1500;
    private static final int HEIGHT = 880;

    /** Whole names in place of the buttons beside them, which a picture has no use for. */
    private static final String WHOLE_NAMES = "(() => { const style = document.createElement('style');"
            + " style.textContent = '.chart .operate, .chart .type-switch { display: none !important }"
            + " .chart .title .text { overflow: visible !important; max-width: none !important; width: auto !important }';"
            + " document.head.append(style);"
            // Names begin with the subtask and the operator, here the same for all.
            + " for (const t of document.querySelectorAll('.chart .title .text'))"
            + " t.textContent = t.textContent.replace('0.generate.llm.', ''); })()";

    private DashboardPictures() {}

    public static void main(String[] arguments) throws Exception {
        URI dashboard = URI.create(arguments[0]);
        Path out = Files.createDirectories(Path.of(arguments[1]));
        String job = json(dashboard.resolve("/jobs/overview")).at("/jobs/0/jid").asText();
        String vertex = "";
        for (JsonNode one : json(dashboard.resolve("/jobs/" + job)).path("vertices")) {
            vertex = one.path("name").asText().contains("generate") ? one.path("id").asText() : vertex;
        }
        Path profile = Files.createTempDirectory("pictures");
        Process chromium = new ProcessBuilder(
                        "chromium",
                        "--headless=new",
                        "--no-sandbox",
                        "--disable-gpu",
                        "--hide-scrollbars",
                        "--remote-debugging-port=0",
                        "--window-size=" + WIDTH + "," + HEIGHT,
                        "--user-data-dir=" + profile,
                        "about:blank")
                .redirectErrorStream(true)
                .redirectOutput(profile.resolve("chromium.log").toFile())
                .start();
        try (Tab tab = Tab.open(profile)) {
            String page = dashboard + "/#/job/running/" + job + "/overview";
            tab.go(page);
            tab.await("document.querySelectorAll('svg .node, flink-node').length > 0");
            tab.pause(3000);
            tab.save(out.resolve("job-graph.png"));
            tab.go(page + "/" + vertex + "/metrics");
            tab.await("document.querySelector('nz-select') != null");
            tab.pause(2000);
            for (String metric : METRICS) {
                tab.choose("llm." + metric);
            }
            // The drawer over the whole width, and a minute for the curves.
            tab.evaluate("document.querySelector('.anticon-left').parentElement.click()");
            tab.evaluate(WHOLE_NAMES);
            tab.pause(60_000);
            tab.save(out.resolve("operator-metrics.png"));
        } finally {
            chromium.destroy();
        }
    }

    private static JsonNode json(URI uri) throws IOException, InterruptedException {
        return new ObjectMapper()
                .readTree(HttpClient.newHttpClient()
                        .send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString())
                        .body());
    }

    /** A tab of the browser, steered by the DevTools protocol. */
    private static final class Tab implements AutoCloseable, WebSocket.Listener {
        private static final int LOOKS = 300;

        private final ObjectMapper mapper = new ObjectMapper();
        private final BlockingQueue<JsonNode> answers = new LinkedBlockingQueue<>();
        private final StringBuilder partial = new StringBuilder();
        private WebSocket socket;
        private int calls;

        static Tab open(Path profile) throws Exception {
            Path file = profile.resolve("DevToolsActivePort");
            for (int i = 0; i < LOOKS && !Files.exists(file); i++) {
                Thread.sleep(100);
            }
            String port = Files.readAllLines(file).get(0);
            JsonNode pages = json(URI.create("http://127.0.0.1:" + port + "/json"));
            Tab tab = new Tab();
            for (JsonNode page : pages) {
                if (page.path("type").asText().equals("page")) {
                    tab.socket = HttpClient.newHttpClient()
                            .newWebSocketBuilder()
                            .buildAsync(URI.create(page.path("webSocketDebuggerUrl").asText()), tab)
                            .get(10, TimeUnit.SECONDS);
                }
            }
            tab.call(
                    "Emulation.setDeviceMetricsOverride",
                    Map.of("width", WIDTH, "height", HEIGHT, "deviceScaleFactor", 1, "mobile", false));
            return tab;
        }

        @Override
        public CompletionStage<?> onText(WebSocket from, CharSequence data, boolean last) {
            partial.append(data);
            if (last) {
                try {
                    answers.add(mapper.readTree(partial.toString()));
                } catch (IOException e) {
                    throw new java.io.UncheckedIOException(e);
                }
                partial.setLength(0);
            }
            from.request(1);
            return null;
        }

        private JsonNode call(String method, Map<String, Object> parameters) throws Exception {
            int id = ++calls;
            socket.sendText(mapper.writeValueAsString(Map.of("id", id, "method", method, "params", parameters)), true)
                    .get();
            while (true) {
                JsonNode answer = answers.poll(30, TimeUnit.SECONDS);
                if (answer == null) {
                    throw new IllegalStateException("The browser does not answer to " + method);
                }
                if (answer.path("id").asInt() == id) {
                    return answer.path("result");
                }
            }
        }

        void go(String url) throws Exception {
            call("Page.navigate", Map.of("url", url));
        }

        JsonNode evaluate(String script) throws Exception {
            JsonNode answer = call("Runtime.evaluate", Map.of("expression", script, "returnByValue", true));
            if (answer.has("exceptionDetails")) {
                throw new IllegalStateException("The page fails: " + answer.path("exceptionDetails"));
            }
            return answer.path("result").path("value");
        }

        void await(String condition) throws Exception {
            for (int i = 0; i < LOOKS; i++) {
                if (evaluate("!!(" + condition + ")").asBoolean()) {
                    return;
                }
                Thread.sleep(100);
            }
            throw new IllegalStateException("Not seen in the page: " + condition);
        }

        void pause(int millis) throws InterruptedException {
            Thread.sleep(millis);
        }

        private void click(double x, double y) throws Exception {
            for (String type : List.of("mousePressed", "mouseReleased")) {
                call(
                        "Input.dispatchMouseEvent",
                        Map.of("type", type, "x", x, "y", y, "button", "left", "clickCount", 1));
            }
        }

        /** Picks a metric in the list: opens it, types the name, takes the first that fits. */
        void choose(String name) throws Exception {
            JsonNode box = evaluate("(() => { const r = document.querySelector('nz-select').getBoundingClientRect();"
                    + " return [r.x + r.width / 2, r.y + r.height / 2]; })()");
            click(box.path(0).asDouble(), box.path(1).asDouble());
            pause(500);
            call("Input.insertText", Map.of("text", name));
            pause(500);
            JsonNode option = evaluate("(() => { for (const o of document.querySelectorAll('nz-option-item')) {"
                    + " if (o.innerText.includes('" + name + "')) { const r = o.getBoundingClientRect();"
                    + " return [r.x + 20, r.y + r.height / 2]; } } return null; })()");
            if (option.isNull() || option.isMissingNode()) {
                throw new IllegalStateException("The dashboard has no metric " + name);
            }
            click(option.path(0).asDouble(), option.path(1).asDouble());
            pause(500);
        }

        void save(Path file) throws Exception {
            String data = call("Page.captureScreenshot", Map.of("format", "png")).path("data").asText();
            Files.write(file, Base64.getDecoder().decode(data));
            System.out.println(file + " " + Files.size(file) + " bytes");
        }

        @Override
        public void close() {
            socket.abort();
        }
    }
}
