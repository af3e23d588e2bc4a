// Binary cross-entropy of few logits against one label: the mean, in one block, and its gradient.
#include "types.cuh"

__device__ __forceinline__ float block_sum(float value) {
    __shared__ float sums[256];
    sums[threadIdx.x] = value;
    __syncthreads();
    for (int half = blockDim.x >> 1; half > 0; half >>= 1) {
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
        __syncthreads();
    }
    return sums[0];
}

// The mean over n logits l of (l + |l|) / 2 - l t + ln(1 + exp(-|l|)).
extern "C" __global__ void bce(const float *logits, float *loss, int n, float label) {
    float sum = 0.f;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        float l = logits[i], a = fabsf(l);
        sum += (l + a) * 0.5f - l * label + log1pf(expf(-a));
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) *loss = sum / n;
}

// (sigmoid(l) - t) / n, times the gradient of the loss.
extern "C" __global__ void bce_back(const float *logits, const float *grad, float *out, int n, float label) {
    EVERY(i, n) out[i] = (1.f / (1.f + expf(-logits[i])) - label) / n * *grad;
}
