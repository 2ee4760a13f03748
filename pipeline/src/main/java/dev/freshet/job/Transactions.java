package dev.freshet.job;

import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.zip.CRC32C;

/** Names of a job's transactions. */
final class Transactions {

    private Transactions() {}

    /**
     * Returns the prefix of a job's transactional ids. At its start a job aborts whatever open transaction begins with it, so that
     * no prefix may begin with that of another job: a checksum ends it.
     */
    static String prefix(String job) {
        CRC32C crc = new CRC32C();
        crc.update(job.getBytes(StandardCharsets.UTF_8));
        return "freshet-" + job + String.format(Locale.ROOT, ".%08x", crc.getValue());
    }
}
