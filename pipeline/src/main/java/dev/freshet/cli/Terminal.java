package dev.freshet.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * Where commands write: results to standard output, everything else to standard error, always in UTF-8. Immutable.
 *
 * @param out results
 * @param err notes, progress and errors
 * @param outIsTerminal whether a person reads out
 * @param errIsTerminal whether a person reads err, so that lines may be rewritten
 */
record Terminal(PrintStream out, PrintStream err, boolean outIsTerminal, boolean errIsTerminal) {

    private static final String UP_AND_ERASE = "\u001b[1A\u001b[2K";
    private static final String BACK_AND_ERASE = "\r\u001b[2K";

    /** The process's own streams; the launcher says which of them are terminals. */
    static Terminal standard() {
        return new Terminal(
                stream(FileDescriptor.out),
                stream(FileDescriptor.err),
                Boolean.getBoolean("freshet.terminal.out"),
                Boolean.getBoolean("freshet.terminal.err"));
    }

    private static PrintStream stream(FileDescriptor descriptor) {
        return new PrintStream(new FileOutputStream(descriptor), true, StandardCharsets.UTF_8);
    }

    /** Takes back Java's one-line warning that the Vector API incubates: it is known, and Java has no flag for it. */
    void eraseStartWarning() {
        if (errIsTerminal) {
            err.print(UP_AND_ERASE);
            err.flush();
        }
    }

    /** Writes a line of notes. */
    void note(String line) {
        err.println(line);
    }

    /** Writes over the last status line of a terminal. */
    void status(String line) {
        err.print(BACK_AND_ERASE + line);
        err.flush();
    }

    /** Removes the last status line of a terminal. */
    void clearStatus() {
        if (errIsTerminal) {
            err.print(BACK_AND_ERASE);
            err.flush();
        }
    }
}
