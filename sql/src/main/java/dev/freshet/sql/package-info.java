/** Models of Flink SQL: {@code CREATE MODEL ... WITH ('provider' = 'freshet')} and {@code ML_PREDICT} on the engine in this process. */
@NullMarked
package dev.freshet.sql;

import org.jspecify.annotations.NullMarked;
