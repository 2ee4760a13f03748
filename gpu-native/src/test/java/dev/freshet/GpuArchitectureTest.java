package dev.freshet;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

class GpuArchitectureTest {

    private static final JavaClasses MAIN = ArchitectureRules.mainClasses();

    @TestFactory
    Stream<DynamicTest> mainClassesKeepEveryRule() {
        return ArchitectureRules.all().stream()
                .map(rule -> DynamicTest.dynamicTest(rule.getDescription(), () -> rule.check(MAIN)));
    }

    @Test
    void mainClassesWereFound() {
        assertThat(MAIN.contain("dev.freshet.cuda.CudaKernels")).isTrue();
    }
}
