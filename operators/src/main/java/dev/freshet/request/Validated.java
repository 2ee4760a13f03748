package dev.freshet.request;

/** What became of a decoded record. Immutable. */
public sealed interface Validated permits Validated.Accepted, Validated.Invalid {

    /**
     * The record is a request that can be served, token ids excepted.
     *
     * @param request the request, every default filled in
     */
    record Accepted(PromptRequest request) implements Validated {}

    /**
     * The record is no such request.
     *
     * @param id id of the request, derived when its own cannot be used
     * @param error what is wrong with it
     */
    record Invalid(String id, RequestError error) implements Validated {}
}
