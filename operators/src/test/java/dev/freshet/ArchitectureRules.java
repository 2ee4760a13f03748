package dev.freshet;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.simpleNameEndingWith;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.fields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noFields;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.AccessTarget;
import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * The rules of the code map, for every module. They have no list of tolerated violations: a class that must own a clock or a
 * thread is named here, with the reason.
 */
public final class ArchitectureRules {

    private static final String ROOT = "dev.freshet.";

    /** Packages from the bottom up; each may use itself and those before it. */
    private static final List<String> ORDER = List.of(
            "schema",
            "wire",
            "request",
            "tensor",
            "kernel",
            "attention",
            "model",
            "sampling",
            "speculative",
            "engine",
            "tokenizer",
            "operator",
            "cuda",
            "job",
            "cli");

    /** Packages that work on token ids and text alone: the same input gives the same output, at any time. */
    private static final String[] TIMELESS = packages(
            "schema",
            "request",
            "tensor",
            "kernel",
            "attention",
            "model",
            "sampling",
            "speculative",
            "engine",
            "tokenizer");

    /** Starts the threads of the CPU kernels, once for each backend. */
    private static final String WORKER_POOL = ROOT + "kernel.WorkerPool";

    private ArchitectureRules() {}

    /** Imports the main classes of this project on the class path. */
    public static JavaClasses mainClasses() {
        ImportOption noTestJars = location -> !location.contains("-tests.jar");
        return new ClassFileImporter()
                .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
                .withImportOption(noTestJars)
                .importPackages("dev.freshet");
    }

    /** Returns every rule. */
    public static List<ArchRule> all() {
        List<ArchRule> rules = new ArrayList<>();
        packageOrder(rules);
        libraries(rules);
        timeAndChance(rules);
        mutableState(rules);
        security(rules);
        return rules;
    }

    private static void packageOrder(List<ArchRule> rules) {
        for (int i = 0; i < ORDER.size(); i++) {
            String[] above = packages(ORDER.subList(i + 1, ORDER.size()).toArray(String[]::new));
            if (above.length > 0) {
                rules.add(noClasses()
                        .that()
                        .resideInAPackage(ROOT + ORDER.get(i) + "..")
                        .should()
                        .dependOnClassesThat()
                        .resideInAnyPackage(above)
                        .because("a package uses only those before it in the code map"));
            }
        }
        rules.add(classes()
                .should()
                .resideInAnyPackage(packages(ORDER.toArray(String[]::new)))
                .because("every class belongs to a package of the code map"));
    }

    private static void libraries(List<ArchRule> rules) {
        onlyIn(rules, "org.apache.flink..", "operator", "job");
        onlyIn(rules, "org.apache.kafka..", "job");
        onlyIn(rules, "kafka..", "job");
        onlyIn(rules, "jcuda..", "cuda");
        onlyIn(rules, "jdk.incubator.vector..", "kernel");
        onlyIn(rules, "org.apache.avro..", "schema", "wire", "operator", "job");
        onlyIn(rules, "ai.djl..", "tokenizer");
        onlyIn(rules, "picocli..", "cli");
        onlyIn(rules, "java.net.http..", "wire");
    }

    private static void onlyIn(List<ArchRule> rules, String library, String... users) {
        rules.add(noClasses()
                .that()
                .resideOutsideOfPackages(packages(users))
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(library)
                .because(library + " stays in " + String.join(", ", users)));
    }

    private static void timeAndChance(List<ArchRule> rules) {
        Set<String> readings = Set.of(
                "java.lang.System.nanoTime",
                "java.lang.System.currentTimeMillis",
                "java.time.Instant.now",
                "java.time.LocalDateTime.now",
                "java.time.Clock.systemUTC",
                "java.time.Clock.systemDefaultZone");
        rules.add(noClasses()
                .that()
                .resideInAnyPackage(TIMELESS)
                .should()
                .accessTargetWhere(calls("read a clock", readings))
                .because("what they compute depends on their input alone"));
        rules.add(noClasses()
                .that()
                .resideInAnyPackage(TIMELESS)
                .and()
                .doNotHaveFullyQualifiedName(WORKER_POOL)
                .should()
                .accessTargetWhere(calls(
                        "start a thread", Set.of("java.lang.Thread.<init>", "java.lang.Thread.startVirtualThread")))
                .because("threads belong to the few classes that bound and end them"));
        rules.add(noClasses()
                .should()
                .dependOnClassesThat()
                .haveFullyQualifiedName("java.util.Random")
                .orShould()
                .dependOnClassesThat()
                .haveFullyQualifiedName("java.util.concurrent.ThreadLocalRandom")
                .orShould()
                .dependOnClassesThat()
                .haveFullyQualifiedName("java.util.SplittableRandom")
                .orShould()
                .accessTargetWhere(calls("draw at random", Set.of("java.lang.Math.random")))
                .because("CounterRng draws, so that a replay draws the same"));
    }

    private static void mutableState(List<ArchRule> rules) {
        rules.add(fields().that().areStatic().should().beFinal().because("two engines must live in one JVM"));
        rules.add(fields().that().arePublic().should().beFinal().because("state changes through methods"));
        rules.add(noClasses()
                .that(simpleNameEndingWith("Serializer").or(simpleNameEndingWith("Codec")))
                .should()
                .accessTargetWhere(calls("write an ordinal", Set.of("java.lang.Enum.ordinal")))
                .because("the order of constants is no part of a format"));
    }

    private static void security(List<ArchRule> rules) {
        for (String banned : List.of(
                "java.io.ObjectInputStream",
                "java.beans.XMLDecoder",
                "javax.script.ScriptEngine",
                "com.esotericsoftware.kryo.Kryo")) {
            rules.add(noClasses()
                    .should()
                    .dependOnClassesThat()
                    .haveFullyQualifiedName(banned)
                    .because("no object is made from foreign bytes"));
        }
        rules.add(noClasses()
                .should()
                .accessTargetWhere(calls("start a command", Set.of("java.lang.Runtime.exec")))
                .because("nothing from a record may reach a shell"));
        rules.add(noFields()
                .should()
                .haveName("$assertionsDisabled")
                .because("an assertion that can be switched off checks nothing"));
        rules.add(noClasses()
                .that()
                .resideOutsideOfPackage(ROOT + "cli..")
                .should()
                .accessField(System.class, "out")
                .orShould()
                .accessField(System.class, "err")
                .because("standard output is the interface of commands"));
    }

    private static DescribedPredicate<JavaAccess<?>> calls(String what, Set<String> methods) {
        return DescribedPredicate.describe(what, access -> {
            AccessTarget target = access.getTarget();
            JavaClass owner = target.getOwner();
            return methods.contains(owner.getFullName() + "." + target.getName());
        });
    }

    private static String[] packages(String... names) {
        String[] all = new String[names.length];
        for (int i = 0; i < names.length; i++) {
            all[i] = ROOT + names[i] + "..";
        }
        return all;
    }
}
