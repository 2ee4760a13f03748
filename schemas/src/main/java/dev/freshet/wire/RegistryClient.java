package dev.freshet.wire;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Asks a schema registry that speaks the Confluent-compatible API. One answer takes at most the timeout and is read up to a
 * size limit; redirects are not followed. Confined to one thread.
 */
final class RegistryClient {

    private static final String JSON = "application/vnd.schemaregistry.v1+json";

    private final String base;
    private final Duration timeout;
    private final HttpClient http;

    RegistryClient(URI base, Duration timeout) {
        String text = base.toString();
        this.base = text.endsWith("/") ? text.substring(0, text.length() - 1) : text;
        this.timeout = timeout;
        this.http = HttpClient.newBuilder()
                .connectTimeout(timeout)
                .followRedirects(HttpClient.Redirect.NEVER)
                .version(HttpClient.Version.HTTP_1_1)
                .build();
    }

    /** What the registry knows of an id. */
    sealed interface Lookup {
        /** The text of the schema. */
        record Found(String schema) implements Lookup {}

        /** The registry says that there is no such schema. */
        record Missing() implements Lookup {}

        /** The registry has something that is no Avro schema for us; the reason completes a sentence. */
        record Unusable(String reason) implements Lookup {}
    }

    /** Looks a schema up. */
    Lookup schema(int id) {
        String path = "/schemas/ids/" + id;
        Answer answer = send(HttpRequest.newBuilder(address(path)).GET(), path);
        if (answer.tooLong) {
            return new Lookup.Unusable("expected a writer's schema of at most " + WriterSchemas.MAX_LENGTH
                    + " bytes, got a longer one. Write with a smaller schema.");
        }
        JsonNode body = parse(answer.body);
        if (answer.status == 404) {
            // A wrong address answers 404 too, and must not turn good records into dead letters.
            if (body.path("error_code").isInt()) {
                return new Lookup.Missing();
            }
            throw unavailable(path, "status 404 without the error_code of a registry");
        }
        if (answer.status != 200) {
            throw unavailable(path, "status " + answer.status);
        }
        JsonNode schema = body.path("schema");
        if (!schema.isTextual()) {
            throw unavailable(path, "an answer without schema");
        }
        String kind = body.path("schemaType").asText("AVRO");
        if (!kind.equals("AVRO")) {
            return new Lookup.Unusable("expected an Avro schema, got another kind. Register an Avro schema.");
        }
        if (body.path("references").size() > 0) {
            return new Lookup.Unusable(
                    "expected a schema that stands alone, got references to other subjects. Register it in one piece.");
        }
        return new Lookup.Found(schema.textValue());
    }

    /** Registers a schema, which a registry that has it already answers with the same id. */
    int register(String subject, String schema) {
        String path = "/subjects/" + URLEncoder.encode(subject, StandardCharsets.UTF_8) + "/versions";
        byte[] body = JsonText.bytes(JsonText.MAPPER.createObjectNode().put("schema", schema));
        HttpRequest.Builder request = HttpRequest.newBuilder(address(path))
                .header("Content-Type", JSON)
                .POST(HttpRequest.BodyPublishers.ofByteArray(body));
        Answer answer = send(request, path);
        if (answer.status == 409 || answer.status == 422) {
            throw new IllegalStateException("Cannot register a schema: expected the registry to take it as " + subject
                    + ", got status " + answer.status + " (" + path + "). Compare the subject's compatibility level and"
                    + " schema with ours.");
        }
        JsonNode id = parse(answer.body).path("id");
        if (answer.status != 200 || !id.canConvertToInt() || !id.isInt()) {
            throw unavailable(path, "status " + answer.status + (answer.status == 200 ? " without id" : ""));
        }
        return id.intValue();
    }

    private URI address(String path) {
        return URI.create(base + path);
    }

    private record Answer(int status, byte[] body, boolean tooLong) {}

    private Answer send(HttpRequest.Builder builder, String path) {
        HttpRequest request = builder.header("Accept", JSON + ", application/json")
                .timeout(timeout)
                .build();
        LimitedBody body = new LimitedBody(2 * WriterSchemas.MAX_LENGTH);
        CompletableFuture<HttpResponse<byte[]>> pending = http.sendAsync(request, info -> body);
        try {
            // The request's own timeout ends with the headers; a body can still drip for ever.
            HttpResponse<byte[]> response = pending.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
            return new Answer(response.statusCode(), response.body(), body.tooLong());
        } catch (TimeoutException e) {
            throw new RegistryUnavailable(message(path, "none within " + timeout.toMillis() + " ms"), e);
        } catch (ExecutionException e) {
            Throwable cause = e.getCause() == null ? e : e.getCause();
            String what = cause instanceof IOException ? cause.getClass().getSimpleName() : cause.toString();
            throw new RegistryUnavailable(message(path, what), cause);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new RegistryUnavailable(message(path, "an interrupt"), e);
        } finally {
            pending.cancel(true);
        }
    }

    private static JsonNode parse(byte[] body) {
        try {
            JsonNode tree = JsonText.MAPPER.readTree(body);
            return tree == null ? JsonText.MAPPER.missingNode() : tree;
        } catch (JsonProcessingException e) {
            return JsonText.MAPPER.missingNode();
        } catch (IOException e) {
            throw new IllegalStateException("Cannot read from memory.", e);
        }
    }

    private RegistryUnavailable unavailable(String path, String got) {
        return new RegistryUnavailable(message(path, got));
    }

    private String message(String path, String got) {
        return "Cannot ask the schema registry: expected an answer, got " + got + " (" + base + path
                + "). Check that the registry runs at this address.";
    }
}
