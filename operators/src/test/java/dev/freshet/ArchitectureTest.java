package dev.freshet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import dev.freshet.engine.RuleBreaker;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

class ArchitectureTest {

    private static final JavaClasses MAIN = ArchitectureRules.mainClasses();

    @TestFactory
    Stream<DynamicTest> mainClassesKeepEveryRule() {
        return ArchitectureRules.all().stream()
                .map(rule -> DynamicTest.dynamicTest(rule.getDescription(), () -> rule.check(MAIN)));
    }

    @Test
    void mainClassesWereFound() {
        assertThat(MAIN.contain("dev.freshet.request.RequestValidator")).isTrue();
        assertThat(MAIN.contain("dev.freshet.schema.Prompt")).isTrue();
        assertThat(MAIN.contain(ArchitectureTest.class)).isFalse();
    }

    @Test
    void classThatBreaksRulesIsCaught() {
        JavaClasses bad = new ClassFileImporter().importClasses(RuleBreaker.class);
        long broken = ArchitectureRules.all().stream()
                .filter(rule -> rule.evaluate(bad).hasViolation())
                .count();
        assertThat(broken).isEqualTo(RuleBreaker.RULES_BROKEN);
        assertThatThrownBy(() -> ArchitectureRules.all().forEach(rule -> rule.check(bad)))
                .hasMessageContaining("RuleBreaker");
    }
}
