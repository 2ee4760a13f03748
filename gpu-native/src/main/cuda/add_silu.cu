// Residual block of a Medusa head: out = x + silu(y); all [count], out may be y.
#include "elementwise.cuh"

KERNEL(add_silu_any_f32, ElementParams, 128) {
    FOR_EACH_ELEMENT(i) {
        p.out[i] = p.x[i] + silu(p.y[i]);
    }
}
