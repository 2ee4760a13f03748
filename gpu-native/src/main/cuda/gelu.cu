// tanh form of GELU in place, docs/maths.md §1.2: y / (1 + e^-2u); x = out [count].
#include "elementwise.cuh"

KERNEL(gelu_any_f32, ElementParams, 128) {
    FOR_EACH_ELEMENT(i) {
        float y = p.x[i];
        float u = 0.7978845608028654f * fmaf(0.044715f * y * y, y, y);
        p.out[i] = y / (1.f + expf(-2.f * u));
    }
}
