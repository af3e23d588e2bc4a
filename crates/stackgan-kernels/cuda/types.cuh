// Element types of feature maps and what the kernels share. All arithmetic is f32.
#pragma once
#include <cuda_bf16.h>
#include <stdint.h>

typedef __nv_bfloat16 bf16;

__device__ __forceinline__ float load(const float *p) { return *p; }
__device__ __forceinline__ float load(const bf16 *p) { return __bfloat162float(*p); }
__device__ __forceinline__ void store(float *p, float v) { *p = v; }
__device__ __forceinline__ void store(bf16 *p, float v) { *p = __float2bfloat16(v); }

// V neighbours at once: V = 1, or as many as fill 16 bytes.
template <typename T, int V> struct Pack {
    float v[V];
    __device__ __forceinline__ void read(const T *p) {
        if constexpr (V == 1) {
            v[0] = load(p);
        } else {
            uint4 raw = *reinterpret_cast<const uint4 *>(p);
            const T *each = reinterpret_cast<const T *>(&raw);
#pragma unroll
            for (int i = 0; i < V; i++) v[i] = load(each + i);
        }
    }
    __device__ __forceinline__ void write(T *p) const {
        if constexpr (V == 1) {
            store(p, v[0]);
        } else {
            uint4 raw;
            T *each = reinterpret_cast<T *>(&raw);
#pragma unroll
            for (int i = 0; i < V; i++) store(each + i, v[i]);
            *reinterpret_cast<uint4 *>(p) = raw;
        }
    }
};

// slope * v where x is not positive, else v; a slope of 0 gives 0 whatever v is; a NaN stays a NaN.
__device__ __forceinline__ float select_by(float x, float v, float slope) {
    float low = slope == 0.f ? 0.f : slope * v;
    return x <= 0.f ? low : v;
}

// A loop of this thread over its part of n values.
#define EVERY(i, n)                                                                                \
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < (n);                      \
         i += (int64_t)gridDim.x * blockDim.x)
