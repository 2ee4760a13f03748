package dev.freshet.cuda;

import java.io.PrintStream;
import java.util.stream.Collectors;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;

/**
 * Runs test classes or methods (class#method) named as arguments and prints each failure in a line. Exit status: 0 all passed, 1 some
 * failed, 2 none ran. For machines without Maven, and for children of {@link PlantedBugsTest}.
 */
public final class SelectedTests {

    private SelectedTests() {}

    public static void main(String[] arguments) {
        PrintStream out = System.out;
        LauncherDiscoveryRequestBuilder builder = LauncherDiscoveryRequestBuilder.request();
        for (String name : arguments) {
            builder.selectors(
                    name.contains("#") ? DiscoverySelectors.selectMethod(name) : DiscoverySelectors.selectClass(name));
        }
        LauncherDiscoveryRequest request = builder.build();
        SummaryGeneratingListener summary = new SummaryGeneratingListener();
        TestExecutionListener failures = new TestExecutionListener() {
            @Override
            public void executionFinished(TestIdentifier test, TestExecutionResult result) {
                if (result.getStatus() == TestExecutionResult.Status.FAILED) {
                    String text = result.getThrowable().map(Throwable::toString).orElse("");
                    out.println("FAILED " + test.getDisplayName() + ": "
                            + text.lines()
                                    .map(String::strip)
                                    .filter(line -> !line.isEmpty())
                                    .limit(3)
                                    .collect(Collectors.joining(" ")));
                }
            }
        };
        LauncherFactory.create().execute(request, summary, failures);
        TestExecutionSummary counts = summary.getSummary();
        out.println(counts.getTestsSucceededCount() + " passed, " + counts.getTestsFailedCount() + " failed, "
                + counts.getTestsSkippedCount() + " skipped, " + counts.getTestsAbortedCount() + " not applicable");
        boolean some = counts.getTestsSucceededCount() + counts.getTestsFailedCount() > 0;
        System.exit(counts.getTestsFailedCount() > 0 ? 1 : some ? 0 : 2);
    }
}
