// All tensors of a network in one launch.
//
// `table` holds `tensors` entries of WIDTH numbers: up to four addresses and the number of values; then one entry for
// each block: tensor << 32 | piece. A piece is PIECE values.
#include <stdint.h>

#define WIDTH 5
#define PIECE 16384

struct Part {
    float *p[4];
    int64_t from, to;
};

__device__ __forceinline__ Part part_of(const uint64_t *table, int tensors) {
    uint64_t where = table[(int64_t)tensors * WIDTH + blockIdx.x];
    const uint64_t *entry = table + (where >> 32) * WIDTH;
    Part part;
    for (int i = 0; i < 4; i++) part.p[i] = reinterpret_cast<float *>(entry[i]);
    part.from = (int64_t)(where & 0xffffffff) * PIECE;
    part.to = min(part.from + PIECE, (int64_t)entry[4]);
    return part;
}

#define VALUES(i, part)                                                                            \
    for (int64_t i = part.from + threadIdx.x; i < part.to; i += blockDim.x)

// p, gradient, m, v. torch.optim.Adam's arithmetic. factors: beta1, 1 - beta1, beta2, 1 - beta2, rate, root, eps.
extern "C" __global__ void many_adam(const uint64_t *table, int tensors, float beta1, float rest1,
                                     float beta2, float rest2, float rate, float root, float eps) {
    Part part = part_of(table, tensors);
    VALUES(i, part) {
        float g = part.p[1][i];
        float m = beta1 * part.p[2][i] + rest1 * g;
        float v = beta2 * part.p[3][i] + rest2 * (g * g);
        part.p[2][i] = m;
        part.p[3][i] = v;
        part.p[0][i] -= rate * (m / (sqrtf(v) * root + eps));
    }
}

extern "C" __global__ void many_copy(const uint64_t *table, int tensors) {
    Part part = part_of(table, tensors);
    VALUES(i, part) part.p[0][i] = part.p[1][i];
}

extern "C" __global__ void many_average(const uint64_t *table, int tensors, float decay, float rest) {
    Part part = part_of(table, tensors);
    VALUES(i, part) part.p[0][i] = part.p[0][i] * decay + part.p[1][i] * rest;
}

__device__ __forceinline__ double block_sum(double value) {
    __shared__ double sums[256];
    sums[threadIdx.x] = value;
    __syncthreads();
    for (int half = blockDim.x >> 1; half > 0; half >>= 1) {
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
        __syncthreads();
    }
    return sums[0];
}

extern "C" __global__ void many_squares(const uint64_t *table, int tensors, double *sums) {
    Part part = part_of(table, tensors);
    float sum = 0.f;
    VALUES(i, part) sum += part.p[0][i] * part.p[0][i];
    double all = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = all;
}

extern "C" __global__ void many_non_finite(const uint64_t *table, int tensors, double *sums) {
    Part part = part_of(table, tensors);
    float sum = 0.f;
    VALUES(i, part) sum += isfinite(part.p[0][i]) ? 0.f : 1.f;
    double all = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = all;
}

extern "C" __global__ void many_total(const double *sums, int blocks, float *out) {
    double sum = 0;
    for (int i = threadIdx.x; i < blocks; i += blockDim.x) sum += sums[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *out = (float)sum;
}
