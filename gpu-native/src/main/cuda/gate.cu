// Gates of the decayed kinds, docs/maths.md §2.6, in place. gla: x = logsigmoid(x) / 16, [count]. Delta rule: rows of [2 dim], betas,
// then log-decays: beta = sigmoid(b), log a = -exp(y) softplus(a + z), y = A_log and z = bias, both [dim]; count = rows dim.
#include "elementwise.cuh"

KERNEL(log_sigmoid_gate_any_f32, ElementParams, 128) {
    FOR_EACH_ELEMENT(i) {
        p.out[i] = -softplus(-p.x[i]) * 0.0625f;
    }
}

KERNEL(delta_gate_any_f32, ElementParams, 128) {
    FOR_EACH_ELEMENT(i) {
        int g = i % p.dim;
        size_t beta = (size_t)(i / p.dim) * 2 * p.dim + g;
        size_t decay = beta + p.dim;
        p.out[beta] = 1.f / (1.f + expf(-p.x[beta]));
        p.out[decay] = -expf(p.y[g]) * softplus(p.x[decay] + p.z[g]);
    }
}
