// All tensors of a network in few launches.
//
// A launch takes up to MOST rows by value, so that nothing has to be sent first: of each up to four addresses, the number
// of values, and the first of the blocks that work on it. A block works on PIECE values.
#include <stdint.h>

#define MOST 72
#define PIECE 16384

struct Table {
    float *address[4][MOST];
    uint32_t count[MOST];
    uint32_t first[MOST];
    uint32_t rows;
    uint32_t blocks_before; // of earlier launches over the same list
};

struct Part {
    float *p[4];
    int64_t from, to;
};

__device__ __forceinline__ Part part_of(const Table &table) {
    int low = 0, high = table.rows - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (table.first[middle] <= blockIdx.x) low = middle;
        else high = middle - 1;
    }
    Part part;
    for (int i = 0; i < 4; i++) part.p[i] = table.address[i][low];
    part.from = (int64_t)(blockIdx.x - table.first[low]) * PIECE;
    part.to = min(part.from + PIECE, (int64_t)table.count[low]);
    return part;
}

#define VALUES(i, part)                                                                            \
    for (int64_t i = part.from + threadIdx.x; i < part.to; i += blockDim.x)

// p, gradient, m, v. torch.optim.Adam's arithmetic. factors: beta1, 1 - beta1, beta2, 1 - beta2, rate, root, eps.
extern "C" __global__ void many_adam(const __grid_constant__ Table table, const float *factors) {
    Part part = part_of(table);
    float beta1 = factors[0], rest1 = factors[1], beta2 = factors[2], rest2 = factors[3];
    float rate = factors[4], root = factors[5], eps = factors[6];
    VALUES(i, part) {
        float g = part.p[1][i];
        float m = beta1 * part.p[2][i] + rest1 * g;
        float v = beta2 * part.p[3][i] + rest2 * (g * g);
        part.p[2][i] = m;
        part.p[3][i] = v;
        part.p[0][i] -= rate * (m / (sqrtf(v) * root + eps));
    }
}

extern "C" __global__ void many_copy(const __grid_constant__ Table table) {
    Part part = part_of(table);
    VALUES(i, part) part.p[0][i] = part.p[1][i];
}

extern "C" __global__ void many_average(const __grid_constant__ Table table, float decay, float rest) {
    Part part = part_of(table);
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

extern "C" __global__ void many_squares(const __grid_constant__ Table table, double *sums) {
    Part part = part_of(table);
    float sum = 0.f;
    VALUES(i, part) sum += part.p[0][i] * part.p[0][i];
    double all = block_sum(sum);
    if (threadIdx.x == 0) sums[table.blocks_before + blockIdx.x] = all;
}

extern "C" __global__ void many_non_finite(const __grid_constant__ Table table, double *sums) {
    Part part = part_of(table);
    float sum = 0.f;
    VALUES(i, part) sum += isfinite(part.p[0][i]) ? 0.f : 1.f;
    double all = block_sum(sum);
    if (threadIdx.x == 0) sums[table.blocks_before + blockIdx.x] = all;
}

extern "C" __global__ void many_total(const double *sums, int blocks, float *out) {
    double sum = 0;
    for (int i = threadIdx.x; i < blocks; i += blockDim.x) sum += sums[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *out = (float)sum;
}
