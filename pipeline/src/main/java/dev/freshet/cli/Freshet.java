package dev.freshet.cli;

import dev.freshet.request.ConfigError;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.HelpCommand;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/** The command line. Exit status: 0 done, 1 failed while running, 2 wrong use or configuration. */
@Command(
        name = "freshet",
        description = "Streaming text generation with linear-attention language models.",
        synopsisSubcommandLabel = "COMMAND",
        subcommands = {HelpCommand.class})
public final class Freshet {

    static final int FAILED = 1;
    static final int WRONG_USE = 2;

    /** Commands that start a cluster and keep a log of it. */
    private static final Set<String> LOGGED = Set.of("demo", "run");

    private Freshet() {}

    /** Runs one command and ends the process: a failed cluster may leave threads that would keep it alive. */
    public static void main(String[] arguments) {
        Terminal terminal = Terminal.standard();
        terminal.eraseStartWarning();
        if (startsCluster(arguments)) {
            WorkDirectory.create();
        }
        int status = run(terminal, arguments);
        terminal.out().flush();
        terminal.err().flush();
        System.exit(status);
    }

    private static boolean startsCluster(String[] arguments) {
        return arguments.length > 0
                && (LOGGED.contains(arguments[0])
                        || (arguments[0].equals("batch")
                                && Arrays.stream(arguments).anyMatch(a -> a.startsWith("--cluster"))));
    }

    /** Runs one command and returns its exit status. */
    static int run(Terminal terminal, String... arguments) {
        CommandLine line = new CommandLine(new Freshet())
                .addSubcommand(new AskCommand(terminal))
                .addSubcommand(new DemoCommand(terminal))
                .addSubcommand(new DoctorCommand(terminal))
                .addSubcommand(new GenerateCommand(terminal))
                .addSubcommand(new ModelCommand(terminal))
                .addSubcommand(new RunCommand(terminal))
                .addSubcommand(new EvaluateCommand(terminal))
                .addSubcommand(new BatchCommand(terminal))
                .addSubcommand(new LoadCommand(terminal))
                .addSubcommand(new VerifyTopicsCommand(terminal))
                .addSubcommand(new CommandLine(new BenchCommand(terminal))
                        .addSubcommand("throughput", new BenchCommand(terminal))
                        .addSubcommand(new SpeculativeCommand(terminal)))
                .addSubcommand(new AutoComplete.GenerateCompletion())
                .setOut(new PrintWriter(terminal.out(), true, StandardCharsets.UTF_8))
                .setErr(new PrintWriter(terminal.err(), true, StandardCharsets.UTF_8))
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setParameterExceptionHandler((e, args) -> wrongUse(terminal, e))
                .setExecutionExceptionHandler(failure(terminal));
        addHelp(line);
        return line.execute(arguments.length == 0 ? new String[] {"help"} : arguments);
    }

    /** Gives every command that has none the option --help; an inherited one would meet those that picocli's own commands bring. */
    private static void addHelp(CommandLine line) {
        CommandSpec spec = line.getCommandSpec();
        if (spec.findOption("--help") == null) {
            spec.addOption(OptionSpec.builder("-h", "--help")
                    .usageHelp(true)
                    .description("Show this help.")
                    .build());
        }
        line.getSubcommands().values().forEach(Freshet::addHelp);
    }

    private static int wrongUse(Terminal terminal, ParameterException e) {
        terminal.note("freshet: " + e.getMessage());
        terminal.note("Try '" + e.getCommandLine().getCommandSpec().qualifiedName() + " --help'.");
        return WRONG_USE;
    }

    private static IExecutionExceptionHandler failure(Terminal terminal) {
        return (e, line, parsed) -> {
            terminal.clearStatus();
            Logger log = LoggerFactory.getLogger(Freshet.class);
            if (e instanceof ConfigError) {
                log.info("The command was refused", e);
                terminal.note("freshet: " + e.getMessage());
                return WRONG_USE;
            }
            log.error("The command failed", e);
            terminal.note("freshet: " + Causes.sentence(e));
            return FAILED;
        };
    }
}
