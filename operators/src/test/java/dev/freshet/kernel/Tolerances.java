package dev.freshet.kernel;

/** The only tolerances of the tests, |a - b| <= atol + rtol |b|, as the golden data states them. They fail, never warn. */
public enum Tolerances {
    /** Attention outputs in f32. */
    ATTENTION(2e-5, 2e-5),
    /** Logits and Medusa logits in f32. */
    LOGITS(1e-3, 1e-3),
    /** One kernel in f32 against double sums. */
    KERNEL(2e-5, 2e-5);

    private final double absolute;
    private final double relative;

    Tolerances(double absolute, double relative) {
        this.absolute = absolute;
        this.relative = relative;
    }

    /** Fails unless actual is close to expected. */
    public void check(double actual, double expected, String what) {
        if (!(Math.abs(actual - expected) <= absolute + relative * Math.abs(expected))) {
            throw new AssertionError(what + ": expected " + expected + ", got " + actual);
        }
    }
}
