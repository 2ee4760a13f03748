package dev.freshet.cli;

import dev.freshet.request.ConfigError;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.temporal.TemporalAccessor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/**
 * Reads traces of requests: a CSV file whose first line names its columns, one of them a time and two of them numbers of tokens, as the
 * public Azure LLM inference traces ({@code TIMESTAMP,ContextTokens,GeneratedTokens}) and BurstGPT
 * ({@code Timestamp,Model,Request tokens,Response tokens,...}) do. A time is a date and time or a number of seconds.
 */
final class TraceFile {

    private static final List<String> TIME = List.of("timestamp", "time", "seconds", "arrival");
    private static final List<String> PROMPT =
            List.of("contexttokens", "requesttokens", "prompttokens", "inputtokens", "prompt", "input");
    private static final List<String> COMPLETION =
            List.of("generatedtokens", "responsetokens", "completiontokens", "outputtokens", "completion", "output");
    private static final double NANOS = 1e9;

    private TraceFile() {}

    /**
     * One request of a trace.
     *
     * @param seconds after the first one
     * @param promptTokens tokens of its prompt
     * @param completionTokens tokens that were generated
     */
    record Entry(double seconds, int promptTokens, int completionTokens) {}

    /** Where the columns are. */
    private record Columns(int time, int prompt, int completion) {}

    /**
     * Returns the requests of a file in order of time, the first one at 0.
     *
     * @throws ConfigError when the file cannot be read as a trace
     */
    static List<Entry> read(Path file) {
        List<Entry> entries = new ArrayList<>();
        try (BufferedReader lines = Files.newBufferedReader(file)) {
            String header = lines.readLine();
            Columns columns = columns(file, header == null ? "" : header);
            int number = 1;
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                number++;
                if (!line.isBlank()) {
                    entries.add(entry(file, number, line, columns));
                }
            }
        } catch (IOException e) {
            throw new ConfigError(
                    "Cannot read the trace: expected a readable CSV file (" + file + "). Check --trace.", e);
        }
        if (entries.isEmpty()) {
            throw new ConfigError("Cannot read the trace: expected requests, got none (" + file + "). Check --trace.");
        }
        entries.sort(Comparator.comparingDouble(Entry::seconds));
        double first = entries.get(0).seconds();
        entries.replaceAll(e -> new Entry(e.seconds() - first, e.promptTokens(), e.completionTokens()));
        return entries;
    }

    private static Columns columns(Path file, String header) {
        List<String> names = Arrays.stream(header.split(",", -1))
                .map(name -> name.toLowerCase(Locale.ROOT).replaceAll("[^a-z]", ""))
                .toList();
        Columns columns = new Columns(place(names, TIME), place(names, PROMPT), place(names, COMPLETION));
        if (columns.time < 0 || columns.prompt < 0 || columns.completion < 0) {
            throw new ConfigError("Cannot read the trace: expected a first line that names a time, prompt tokens and"
                    + " completion tokens, for example TIMESTAMP,ContextTokens,GeneratedTokens, got another (" + file
                    + ":1). Name the columns so.");
        }
        return columns;
    }

    /** The column with the first of some names that is there, or -1. */
    private static int place(List<String> names, List<String> wanted) {
        return wanted.stream()
                .map(names::indexOf)
                .filter(at -> at >= 0)
                .findFirst()
                .orElse(-1);
    }

    private static Entry entry(Path file, int number, String line, Columns columns) {
        List<String> fields =
                Arrays.stream(line.split(",", -1)).map(String::strip).toList();
        try {
            return new Entry(
                    seconds(fields.get(columns.time)),
                    tokens(fields.get(columns.prompt)),
                    tokens(fields.get(columns.completion)));
        } catch (IndexOutOfBoundsException | NumberFormatException | DateTimeException e) {
            throw new ConfigError(
                    "Cannot read the trace: expected a time and two numbers of tokens, got something else (" + file
                            + ":" + number + "). Correct the line.",
                    e);
        }
    }

    private static int tokens(String field) {
        int tokens = Integer.parseInt(field);
        if (tokens < 0) {
            throw new NumberFormatException("a negative number of tokens");
        }
        return tokens;
    }

    /** A number of seconds is what it is; a date and time counts from 1970, in UTC unless it says otherwise. */
    private static double seconds(String field) {
        if (field.indexOf(':') < 0) {
            return Double.parseDouble(field);
        }
        TemporalAccessor time = DateTimeFormatter.ISO_DATE_TIME.parseBest(
                field.replace(' ', 'T'), OffsetDateTime::from, LocalDateTime::from);
        OffsetDateTime moment =
                time instanceof OffsetDateTime zoned ? zoned : ((LocalDateTime) time).atOffset(ZoneOffset.UTC);
        return moment.toEpochSecond() + moment.getNano() / NANOS;
    }
}
