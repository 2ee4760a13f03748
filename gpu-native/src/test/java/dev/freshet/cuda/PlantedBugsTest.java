package dev.freshet.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Bugs of the kinds that kernels have, planted one at a time: the checks must see each in at least one order of threads, and must pass
 * without any. A check that sees none of them checks nothing. Every build plants a few, the nightly one all, or those whose names match
 * -Dfreshet.bugs; target/planted-bugs.txt says which test saw each.
 */
final class PlantedBugsTest {

    private static final Path MODULE = Path.of(System.getProperty("freshet.module", "."));
    private static final String CONTRACT = "dev.freshet.kernel.CudaKernelsTest";
    private static final String ATTENTION = "dev.freshet.attention.CudaAttentionGoldenTest";
    private static final String SAMPLER = "dev.freshet.sampling.CudaSamplerTest";
    private static final String MATMUL = "dev.freshet.cuda.MatmulBitsTest";

    /** A change of one source file and the check that must see it; cases are those of the golden attention tests. */
    record Bug(String what, String file, String from, String to, String check, String cases) {
        @Override
        public String toString() {
            return what;
        }
    }

    static Stream<Bug> bugs() {
        return Stream.of(smallOperations(), products(), reading(), caching(), sampling())
                .flatMap(bugs -> bugs);
    }

    private static Stream<Bug> smallOperations() {
        return Stream.of(
                bug(
                        "norm without barriers around its sum",
                        "norm.cu",
                        "    __syncthreads();\n",
                        "",
                        CONTRACT + "#norms"),
                bug(
                        "norm divides by the padded width",
                        "norm.cu",
                        "/ p.dim + p.eps);\n    for (int c = threadIdx.x; c < p.dim; c += 128) {\n        out[c] = x[c] * scale",
                        "/ ((p.dim + 1) & ~1) + p.eps);\n    for (int c = threadIdx.x; c < p.dim; c += 128) {\n        out[c] = x[c] * scale",
                        CONTRACT + "#norms"),
                bug(
                        "warp sum leaves out the last exchange",
                        "dev.cuh",
                        "for (int o = 16; o > 0; o >>= 1) {\n        v +=",
                        "for (int o = 16; o > 1; o >>= 1) {\n        v +=",
                        CONTRACT + "#norms"),
                bug(
                        "rope rotates the other way",
                        "rope.cu",
                        "-(second * sine)",
                        "second * sine",
                        CONTRACT + "#rotaryEmbedding"),
                bug(
                        "rope runs over the last head",
                        "rope.cu",
                        "i < p.heads * half",
                        "i <= p.heads * half",
                        CONTRACT + "#rotaryEmbedding"));
    }

    private static Stream<Bug> products() {
        return Stream.of(
                bug(
                        "product of few rows without a barrier",
                        "matmul_bf16.cu",
                        "    __syncthreads();\n    for (int at",
                        "    for (int at",
                        MATMUL),
                bug(
                        "product of few rows forgets the last part",
                        "matmul_bf16.cu",
                        "for (int part = 1; part < parts",
                        "for (int part = 1; part < parts - 1",
                        MATMUL),
                bug(
                        "parts added in another order for many rows",
                        "matmul_bf16.cu",
                        "(t0 + STAGE) % PART == 0 || t0 + STAGE >= tiles",
                        "t0 + STAGE >= tiles",
                        MATMUL),
                bug(
                        "product of many rows without a barrier",
                        "matmul_bf16.cu",
                        "        __syncthreads();\n        for (int t = t0",
                        "        for (int t = t0",
                        MATMUL),
                bug("one stage where two are needed", "matmul_bf16.cu", "(t0 / STAGE & 1) * WIDE", "0 * WIDE", MATMUL),
                bug(
                        "row beyond the last is read",
                        "matmul_bf16.cu",
                        "if (row >= p.rows) {",
                        "if (row > p.rows) {",
                        MATMUL),
                bug(
                        "row beyond the last is written",
                        "matmul_f32.cu",
                        "if (r < count && i < p.n)",
                        "if (i < p.n)",
                        CONTRACT + "#matrixProducts"),
                bug(
                        "operand registers exchanged",
                        "matmul_bf16.cu",
                        "a[1] = v.y;\n        a[2] = v.z;",
                        "a[1] = v.z;\n        a[2] = v.y;",
                        CONTRACT + "#matrixProducts"),
                bug(
                        "bias before scale",
                        "matmul.cuh",
                        "    if (p.scale) {\n        sum *= p.scale[i];\n    }\n    if (p.bias) {\n        sum += p.bias[i];\n    }",
                        "    if (p.bias) {\n        sum += p.bias[i];\n    }\n    if (p.scale) {\n        sum *= p.scale[i];\n    }",
                        CONTRACT + "#matrixProducts"));
    }

    private static Stream<Bug> reading() {
        return Stream.of(
                golden(
                        "attention sums parts before they are complete",
                        "attention_scores.cuh",
                        "            m.parts[(part * R + r) * d + e] = acc[r];\n        }\n    }\n    __syncthreads();",
                        "            m.parts[(part * R + r) * d + e] = acc[r];\n        }\n    }",
                        "relu"),
                golden(
                        "attention uses sums before all of them are there",
                        "attention_scores.cuh",
                        "at[3 * step];\n    }\n    __syncthreads();",
                        "at[3 * step];\n    }",
                        "gla"),
                golden(
                        "weights are used before they are known",
                        "attention_scores.cuh",
                        "            m.weight[at] = score(p, m, view_at(p, m, rows, r), r, i);\n        }\n    }\n    __syncthreads();",
                        "            m.weight[at] = score(p, m, view_at(p, m, rows, r), r, i);\n        }\n    }",
                        "relu"),
                golden(
                        "a token sees its younger sibling",
                        "attention.cuh",
                        "int node = v.path ? v.path[i - v.open] : i - v.open;",
                        "int node = i - v.open;",
                        "relu"),
                golden("the own token is left out", "attention.cuh", "p.depth[row] + 1;", "p.depth[row];", "gla"),
                golden(
                        "parts by row instead of place in the group",
                        "attention_read.cu",
                        "int from = open + ((part - open) & (PARTS - 1));",
                        "int from = open + part;",
                        "relu"),
                golden(
                        "decay of the wrong token",
                        "attention_scores.cuh",
                        "expf(decay_of(p, v, v.visible - 1, 0) - decay_of(p, v, i, 0))",
                        "expf(decay_of(p, v, v.visible - 1, 0) - decay_of(p, v, max(i - 1, 0), 0))",
                        "retnet"),
                golden(
                        "delta rule scores with keys that are not there yet",
                        "attention_delta.cu",
                        "            key[c] = record[c];\n        }\n        __syncthreads();",
                        "            key[c] = record[c];\n        }",
                        "gated_deltanet"),
                golden(
                        "convolution one token late",
                        "attention_read.cu",
                        "self - p.tail + tap",
                        "self - p.tail + tap - 1",
                        "flash_local-augmented-g8"),
                golden(
                        "memory slots by place in the group",
                        "attention_scores.cuh",
                        "(rows.shared.position + i) % p.slotPositions",
                        "i % p.slotPositions",
                        "linformer"));
    }

    private static Stream<Bug> caching() {
        return Stream.of(
                golden(
                        "running maximum is not carried on",
                        "attention_cache.cu",
                        "m.factor[r] = factor;",
                        "m.factor[r] = 1.f;",
                        "softmax"),
                golden(
                        "cache block ends one token early",
                        "attention_cache.cu",
                        "min(from + CACHE_BLOCK, m.visible[r])",
                        "min(from + CACHE_BLOCK - 1, m.visible[r])",
                        "softmax"),
                golden(
                        "group closes without its last token",
                        "attention_commit.cu",
                        "for (int j = 0; j < p.group; j++) {\n                sum = fmaf(key[j],",
                        "for (int j = 0; j < p.group - 1; j++) {\n                sum = fmaf(key[j],",
                        "relu"),
                golden(
                        "values before the group are not kept",
                        "attention_commit.cu",
                        "values[i * p.dim + e] = values[(p.group + i) * p.dim + e];",
                        "values[i * p.dim + e] *= 1.f;",
                        "flash_local-augmented-g8"));
    }

    private static Stream<Bug> sampling() {
        return Stream.of(
                bug(
                        "every token equal to the last kept one is kept",
                        "sample.cuh",
                        "(*ties)-- > 0 ? -weight : 0.0",
                        "(*ties)-- > -9999 ? -weight : 0.0",
                        SAMPLER),
                bug("one round of Philox too few", "sample.cuh", "round < 10", "round < 9", SAMPLER),
                bug(
                        "weights are added before they are there",
                        "sample.cuh",
                        "            atomicAdd(&m->some[j / 32], 1);\n        }\n    }\n    __syncthreads();",
                        "            atomicAdd(&m->some[j / 32], 1);\n        }\n    }",
                        SAMPLER),
                bug(
                        "second round of top_p begins at the top again",
                        "sample_draw.cu",
                        "        below = last;\n",
                        "",
                        SAMPLER),
                bug(
                        "nucleus of the mass that is to be left out",
                        "sample_draw.cu",
                        "double bound = row.topP * weigh(",
                        "double bound = (1.0 - row.topP) * weigh(",
                        SAMPLER),
                bug("path of a draft does not count", "sample_edit.cu", "                count++;\n", "", SAMPLER));
    }

    private static Bug bug(String what, String file, String from, String to, String check) {
        return new Bug(what, file, from, to, check, ".*");
    }

    private static Bug golden(String what, String file, String from, String to, String cases) {
        return new Bug(what, file, from, to, ATTENTION, cases);
    }

    /** A missing barrier, a wrong value and a wrong order; none of them lies in a header, so that little is compiled. */
    private static final Set<String> IN_EVERY_BUILD = Set.of(
            "norm without barriers around its sum",
            "rope rotates the other way",
            "delta rule scores with keys that are not there yet");

    @TempDir
    private static Path tools = Path.of("");

    @TempDir
    private Path folder = Path.of("");

    @BeforeAll
    static void compileTheBuild() {
        assertThat(ToolProvider.getSystemJavaCompiler()
                        .run(
                                null,
                                null,
                                null,
                                "-d",
                                tools.toString(),
                                MODULE.resolve("src/build/BuildKernels.java").toString()))
                .isZero();
    }

    static Stream<Bug> wantedBugs() {
        String wanted = System.getProperty("freshet.bugs", ".*");
        return bugs().filter(bug -> bug.what.matches(wanted));
    }

    static Stream<Bug> bugsOfEveryBuild() {
        return bugs().filter(bug -> IN_EVERY_BUILD.contains(bug.what));
    }

    @BeforeEach
    void needsTheEmulator() {
        FakeDriver.load();
    }

    @ParameterizedTest
    @MethodSource("bugsOfEveryBuild")
    void checksSeeSomeBugs(Bug bug) throws Exception {
        plant(bug);
    }

    @Tag("nightly")
    @ParameterizedTest
    @MethodSource("wantedBugs")
    void checksSee(Bug bug) throws Exception {
        plant(bug);
    }

    private void plant(Bug bug) throws Exception {
        Path library = build(bug);
        String order = "2";
        ChildProcess.Result result = run(bug, library, order);
        if (result.status() == 0) {
            // A barrier that is missing may show only when the other warp runs first.
            order = "3";
            result = run(bug, library, order);
        }
        // 1: tests failed, and not that none ran. Above 128: the process ended at a guard page, or did not end.
        assertThat(result.status() == 1 || result.status() > 128)
                .as(result.output())
                .isTrue();
        String how = result.output()
                .lines()
                .filter(line -> line.startsWith("FAILED"))
                .findFirst()
                .orElse("ended at a guard page, or was stopped");
        Files.writeString(
                MODULE.resolve("target/planted-bugs.txt"),
                "%s | %s | %s | %s | order %s | %s%n".formatted(bug.what, bug.file, bug.check, bug.cases, order, how),
                StandardOpenOption.CREATE,
                StandardOpenOption.APPEND);
    }

    @Tag("nightly")
    @ParameterizedTest
    @ValueSource(strings = {CONTRACT, MATMUL, ATTENTION})
    void checksPassWithoutBugs(String check) {
        Bug none = new Bug("none", "", "", "", check, "relu|softmax|gated_deltanet|flash_local-augmented-g8");
        assertThat(run(none, Path.of(System.getProperty("freshet.driver")), "3").status())
                .isZero();
    }

    private static ChildProcess.Result run(Bug bug, Path library, String order) {
        return ChildProcess.run(
                SelectedTests.class,
                List.of(bug.check),
                Map.of("EMULATOR_ORDER", order),
                "-Dfreshet.driver=" + library,
                "-Dfreshet.cases=" + bug.cases,
                "--add-modules=jdk.incubator.vector");
    }

    /** Builds the emulator with the bug in a copy of the sources; what is not touched is taken from the build at hand. */
    private Path build(Bug bug) throws IOException, InterruptedException {
        Path sources = copy(MODULE.resolve("src/main/cuda"), folder.resolve("cuda"));
        Path work = copy(MODULE.resolve("target/kernels"), folder.resolve("work"));
        String text = Files.readString(sources.resolve(bug.file));
        assertThat(text).as("the place of the bug").contains(bug.from);
        Files.writeString(sources.resolve(bug.file), text.replace(bug.from, bug.to));
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-cp",
                        tools.toString(),
                        "BuildKernels",
                        "--sources=" + sources,
                        "--emulator=" + MODULE.resolve("src/emulator"),
                        "--work=" + work,
                        "--images=none",
                        "--required=false")
                .redirectErrorStream(true)
                .start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isZero();
        return work.resolve("libcuda.so.1");
    }

    private static Path copy(Path from, Path to) throws IOException {
        Files.createDirectories(to);
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Files.copy(file, to.resolve(file.getFileName()));
            }
        }
        return to;
    }
}
