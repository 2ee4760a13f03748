package dev.freshet.operator;

import org.jspecify.annotations.Nullable;

/**
 * What a subtask remembers of requests that are not in flight.
 *
 * @param recent ids of past requests
 * @param cancelled ids of requests that were cancelled before they came
 * @param sessions conversations between two turns, or null when the job keeps none
 */
record Memory(RecentIds recent, CancelledIds cancelled, @Nullable SessionStore sessions) {}
