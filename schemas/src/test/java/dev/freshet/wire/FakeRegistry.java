package dev.freshet.wire;

import com.fasterxml.jackson.databind.JsonNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/** The two calls of the Confluent-compatible API that Freshet uses, with faults on demand. */
public final class FakeRegistry implements AutoCloseable {

    private final HttpServer server;
    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final CountDownLatch closed = new CountDownLatch(1);
    private final Map<Integer, String> schemas = new ConcurrentHashMap<>();
    private final Map<String, Integer> subjects = new ConcurrentHashMap<>();
    private final AtomicInteger calls = new AtomicInteger();
    private volatile Fault fault = Fault.NONE;

    /** What the registry does instead of answering. */
    enum Fault {
        NONE,
        STATUS_500,
        STATUS_401,
        PLAIN_404,
        HANG,
        DRIP,
        GARBAGE,
        NO_SCHEMA,
        REDIRECT,
        REFUSE_409
    }

    /** Starts a registry without schemas on a free port. */
    public FakeRegistry() {
        try {
            server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        server.setExecutor(threads);
        server.createContext("/", this::answer);
        server.start();
    }

    /** Where it listens. */
    public URI address() {
        return URI.create("http://127.0.0.1:" + server.getAddress().getPort());
    }

    /** Number of calls so far. */
    int calls() {
        return calls.get();
    }

    void set(Fault next) {
        fault = next;
    }

    /** Registers a schema under an id, in the words of an answer. */
    void put(int id, String schema) {
        putAnswer(id, JsonText.MAPPER.createObjectNode().put("schema", schema).toString());
    }

    /** Sets the whole answer for an id. */
    void putAnswer(int id, String body) {
        schemas.put(id, body);
    }

    Map<String, Integer> subjects() {
        return subjects;
    }

    private void answer(HttpExchange exchange) throws IOException {
        calls.incrementAndGet();
        try (exchange) {
            switch (fault) {
                case NONE -> answerWell(exchange);
                case STATUS_500 -> send(exchange, 500, "{\"error_code\":50001,\"message\":\"store\"}");
                case STATUS_401 -> send(exchange, 401, "{\"error_code\":401,\"message\":\"who?\"}");
                case PLAIN_404 -> send(exchange, 404, "<html>not found</html>");
                case GARBAGE -> send(exchange, 200, "\u0000\u0001 nothing like JSON");
                case NO_SCHEMA -> send(exchange, 200, "{\"id\":\"x\"}");
                case REFUSE_409 -> send(exchange, 409, "{\"error_code\":409,\"message\":\"incompatible\"}");
                case REDIRECT -> {
                    exchange.getResponseHeaders().add("Location", "http://127.0.0.1:1/elsewhere");
                    send(exchange, 302, "");
                }
                case HANG -> closed.await();
                case DRIP -> {
                    exchange.sendResponseHeaders(200, 0);
                    exchange.getResponseBody().write('{');
                    exchange.getResponseBody().flush();
                    closed.await();
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void answerWell(HttpExchange exchange) throws IOException {
        String path = exchange.getRequestURI().getPath();
        if (exchange.getRequestMethod().equals("POST")) {
            JsonNode body = JsonText.MAPPER.readTree(exchange.getRequestBody().readAllBytes());
            String subject = path.replaceFirst("^/subjects/(.*)/versions$", "$1");
            int id = subjects.computeIfAbsent(subject, s -> 1000 + subjects.size());
            put(id, body.path("schema").textValue());
            send(exchange, 200, "{\"id\":" + id + "}");
            return;
        }
        String body = schemas.get(Integer.parseInt(path.replaceFirst("^/schemas/ids/", "")));
        if (body == null) {
            send(exchange, 404, "{\"error_code\":40403,\"message\":\"Schema not found\"}");
        } else {
            send(exchange, 200, body);
        }
    }

    private static void send(HttpExchange exchange, int status, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
        exchange.getResponseBody().write(bytes);
    }

    @Override
    public void close() {
        closed.countDown();
        server.stop(0);
        threads.shutdownNow();
    }
}
