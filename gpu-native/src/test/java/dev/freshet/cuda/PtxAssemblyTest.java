package dev.freshet.cuda;

import static jcuda.nvptxcompiler.JNvPTXCompiler.nvPTXCompilerCompile;
import static jcuda.nvptxcompiler.JNvPTXCompiler.nvPTXCompilerCreate;
import static jcuda.nvptxcompiler.JNvPTXCompiler.nvPTXCompilerDestroy;
import static jcuda.nvptxcompiler.JNvPTXCompiler.nvPTXCompilerGetErrorLog;
import static jcuda.nvptxcompiler.JNvPTXCompiler.nvPTXCompilerGetErrorLogSize;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import jcuda.nvptxcompiler.nvPTXCompilerHandle;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every image as PTX passes the assembler of CUDA 12.0, so drivers from 525 on can compile it. */
final class PtxAssemblyTest {

    @ParameterizedTest
    @ValueSource(strings = {"sm_80", "sm_90"})
    void assemblerOfCuda12TakesEveryImage(String target) {
        assumeTrue(
                KernelImages.class.getResource("/kernels/norm.sm_80.cubin") != null,
                "this build was made without nvcc");
        KernelImages images = Objects.requireNonNull(KernelImages.find());
        Set<String> units = new TreeSet<>();
        images.kernels().values().forEach(entry -> units.add(entry.unit()));
        assertThat(units).hasSizeGreaterThan(10);
        for (String unit : units) {
            // An old driver gets PTX.
            byte[] ptx = images.image(unit, new CudaDriver("", 12000, 90));
            assertThat(new String(ptx, StandardCharsets.UTF_8)).contains(".version 8.0");
            nvPTXCompilerHandle compiler = new nvPTXCompilerHandle();
            assertThat(nvPTXCompilerCreate(compiler, ptx.length - 1, ptx)).isZero();
            String[] options = {"--gpu-name=" + target};
            int status = nvPTXCompilerCompile(compiler, options.length, options);
            assertThat(status)
                    .as(unit + " for " + target + ": " + log(compiler))
                    .isZero();
            nvPTXCompilerDestroy(compiler);
        }
    }

    private static String log(nvPTXCompilerHandle compiler) {
        long[] size = new long[1];
        nvPTXCompilerGetErrorLogSize(compiler, size);
        byte[] log = new byte[(int) size[0] + 1];
        nvPTXCompilerGetErrorLog(compiler, log);
        return new String(log, StandardCharsets.UTF_8).trim();
    }

    @ParameterizedTest
    @ValueSource(ints = {80, 86, 89, 90})
    void newDriverGetsMachineCode(int capability) {
        assumeTrue(
                KernelImages.class.getResource("/kernels/norm.sm_80.cubin") != null,
                "this build was made without nvcc");
        byte[] image = Objects.requireNonNull(KernelImages.find()).image("norm", new CudaDriver("", 13000, capability));
        assertThat(new String(image, 1, 3, StandardCharsets.US_ASCII)).isEqualTo("ELF");
    }
}
