package dev.freshet;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** What formatter and compiler do not see, over the whole repository. */
class TidyTest {

    private static final Path ROOT = Path.of(System.getProperty("freshet.root", ".."));

    private static final Set<String> NOT_OURS =
            Set.of("target", ".git", ".idea", ".vscode", ".venv", "__pycache__", "build", "node_modules");

    private static final Set<String> TEXT = Set.of(
            "avsc", "cu", "cuh", "java", "json", "md", "properties", "py", "sh", "toml", "txt", "xml", "yaml", "yml");

    /** Homes and workplaces of single machines; split, so that this file passes its own test. */
    private static final Pattern MACHINE_PATH =
            Pattern.compile("(?<![\\w./-])/(" + "root|" + "work|" + "home/[a-z]\\w*|" + "Users/[a-zA-Z]\\w*)/\\w");

    private static final Pattern SECTION = Pattern.compile("(?m)^##+ (\\d+(?:\\.\\d+)?)\\.? ");
    private static final Pattern CITATION = Pattern.compile("docs/maths\\.md \\W{1,2}(\\d+(?:\\.\\d+)?)");

    private static List<Path> files() {
        List<Path> files = new ArrayList<>();
        try {
            Files.walkFileTree(ROOT, new SimpleFileVisitor<>() {
                @Override
                public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) {
                    Path name = folder.getFileName();
                    boolean skipped = !folder.equals(ROOT) && name != null && NOT_OURS.contains(name.toString());
                    return skipped ? FileVisitResult.SKIP_SUBTREE : FileVisitResult.CONTINUE;
                }

                @Override
                public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                    files.add(file);
                    return FileVisitResult.CONTINUE;
                }
            });
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return files;
    }

    private static String extension(Path file) {
        String name = file.getFileName().toString();
        return name.substring(name.lastIndexOf('.') + 1);
    }

    /** Files without extension are scripts, as a rule; one that is binary does no harm when read as Latin-1. */
    private static boolean text(Path file) {
        return TEXT.contains(extension(file)) || file.getFileName().toString().indexOf('.') < 0;
    }

    private static String read(Path file) {
        try {
            return Files.readString(file, StandardCharsets.ISO_8859_1);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void everyMarkdownFileHasOneTitle() {
        List<Path> bad = files().stream()
                .filter(file -> extension(file).equals("md"))
                .filter(file -> titles(read(file)) != 1)
                .toList();
        assertThat(bad).isEmpty();
    }

    /** Counts lines that begin with one number sign, outside of code blocks. */
    private static long titles(String markdown) {
        boolean code = false;
        long titles = 0;
        for (String line : markdown.split("\n", -1)) {
            if (line.startsWith("```")) {
                code = !code;
            } else if (!code && line.startsWith("# ")) {
                titles++;
            }
        }
        return titles;
    }

    @Test
    void noFileNamesAPathOfOneMachine() {
        List<String> bad = new ArrayList<>();
        for (Path file : files()) {
            if (text(file)) {
                Matcher found = MACHINE_PATH.matcher(read(file));
                if (found.find()) {
                    bad.add(ROOT.relativize(file) + ": " + found.group());
                }
            }
        }
        assertThat(bad).isEmpty();
    }

    @Test
    void everyCitedSectionOfTheMathematicsExists() {
        Set<String> sections = new TreeSet<>();
        Matcher heading = SECTION.matcher(read(ROOT.resolve("docs/maths.md")));
        while (heading.find()) {
            sections.add(heading.group(1));
        }
        List<String> bad = new ArrayList<>();
        int cited = 0;
        for (Path file : files()) {
            // The sign is read as two Latin-1 characters.
            Matcher found = CITATION.matcher(text(file) ? read(file) : "");
            while (found.find()) {
                cited++;
                if (!sections.contains(found.group(1))) {
                    bad.add(ROOT.relativize(file) + ": " + found.group(1));
                }
            }
        }
        assertThat(bad).isEmpty();
        assertThat(cited).isGreaterThan(10);
    }

    @Test
    void everyReleasedSchemaHasGoldenBytes() {
        Path schemas = ROOT.resolve("schemas/src");
        List<String> missing = new ArrayList<>();
        int released = 0;
        for (Path file : files()) {
            if (extension(file).equals("avsc")
                    && file.startsWith(schemas.resolve("main/resources/dev/freshet/schema/released"))) {
                released++;
                String name = file.getFileName().toString().replace(".avsc", "");
                for (String which : List.of("full", "minimal")) {
                    Path golden = schemas.resolve("test/resources/golden/avro/" + name + "-" + which + ".bin");
                    if (!Files.isRegularFile(golden)) {
                        missing.add(ROOT.relativize(golden).toString());
                    }
                }
            }
        }
        assertThat(missing).isEmpty();
        assertThat(released).isGreaterThanOrEqualTo(5);
    }

    @Test
    void everyTopSchemaIsReleased() {
        List<String> missing = new ArrayList<>();
        for (Path file : files()) {
            Path folder = ROOT.resolve("schemas/src/main/avro");
            if (!file.startsWith(folder)) {
                continue;
            }
            String name = file.getFileName().toString().replace(".avsc", "");
            String kebab = name.replaceAll("(?<=.)([A-Z])", "-$1").toLowerCase(Locale.ROOT);
            boolean own = Files.isRegularFile(
                    ROOT.resolve("schemas/src/main/resources/dev/freshet/schema/released/" + kebab + "-1.avsc"));
            boolean part = files().stream()
                    .filter(other -> other.startsWith(folder) && !other.equals(file))
                    .anyMatch(other -> read(other).contains("\"" + name + "\""));
            if (!own && !part) {
                missing.add(name);
            }
        }
        assertThat(missing).isEmpty();
    }

    @Test
    void rulesCatchWhatTheyAreFor() {
        assertThat(titles("# a\ntext\n```\n# code\n```\n## b\n")).isEqualTo(1);
        assertThat(titles("## b\n")).isZero();
        for (String path : List.of("see /ro" + "ot/x", "\"/wor" + "k/shared\"", "(/home" + "/me/x)")) {
            assertThat(MACHINE_PATH.matcher(path).find()).as(path).isTrue();
        }
        for (String path : List.of("../work/x", "a/root/b", "https://host/work/x", "/workdir")) {
            assertThat(MACHINE_PATH.matcher(path).find()).as(path).isFalse();
        }
    }
}
