// What image classifiers have besides: convolutions of each channel, a bias with bounds. Maps are (n, h, w, stride) with zeros, or
// anything, behind the channels.
#include "types.cuh"

// Sizes of a convolution: of the maps, of the result, of a kernel.
struct Window {
    int channels, stride; // values of a pixel
    int h, w, out_h, out_w;
    int kh, kw, step, top, left;
};

// Every channel with a kernel of its own, (kh kw, channels) f32, so that neighbours read neighbours. A value of the result
// for each i.
template <typename T>
__device__ void depthwise(const Window s, const T *x, const float *kernels, T *y, int64_t count) {
    EVERY(i, count) {
        int c = (int)(i % s.stride);
        int64_t rest = i / s.stride;
        int column = (int)(rest % s.out_w);
        rest /= s.out_w;
        int row = (int)(rest % s.out_h);
        int64_t n = rest / s.out_h;
        float sum = 0.f;
        for (int ky = 0; ky < s.kh && c < s.channels; ky++) {
            int v = row * s.step + ky - s.top;
            if (v < 0 || v >= s.h) continue;
            for (int kx = 0; kx < s.kw; kx++) {
                int u = column * s.step + kx - s.left;
                if (u < 0 || u >= s.w) continue;
                sum += kernels[(ky * s.kw + kx) * s.channels + c] * load(x + ((n * s.h + v) * s.w + u) * s.stride + c);
            }
        }
        store(y + i, sum);
    }
}

// The gradient of the maps. A value of them for each i.
template <typename T>
__device__ void depthwise_back(const Window s, const T *dy, const float *kernels, T *dx, int64_t count) {
    EVERY(i, count) {
        int c = (int)(i % s.stride);
        int64_t rest = i / s.stride;
        int column = (int)(rest % s.w);
        rest /= s.w;
        int row = (int)(rest % s.h);
        int64_t n = rest / s.h;
        float sum = 0.f;
        for (int ky = 0; ky < s.kh && c < s.channels; ky++) {
            int v = row + s.top - ky;
            if (v < 0 || v % s.step != 0 || v / s.step >= s.out_h) continue;
            for (int kx = 0; kx < s.kw; kx++) {
                int u = column + s.left - kx;
                if (u < 0 || u % s.step != 0 || u / s.step >= s.out_w) continue;
                int64_t pixel = (n * s.out_h + v / s.step) * s.out_w + u / s.step;
                sum += kernels[(ky * s.kw + kx) * s.channels + c] * load(dy + pixel * s.stride + c);
            }
        }
        store(dx + i, sum);
    }
}

// A bias for each channel and bounds. A NaN stays a NaN.
template <typename T>
__device__ void bounded(const T *x, const float *bias, T *y, int64_t count, int channels, int stride, float low,
                        float high) {
    EVERY(i, count) {
        int c = (int)(i % stride);
        float v = load(x + i) + (c < channels ? bias[c] : 0.f);
        store(y + i, v < low ? low : v > high ? high : v);
    }
}

// The gradient before the bounds, from their result: none where it lies on one.
template <typename T>
__device__ void bounded_back(const T *y, const T *dy, T *dx, int64_t count, float low, float high) {
    EVERY(i, count) {
        float v = load(y + i);
        store(dx + i, low < v && v < high ? load(dy + i) : 0.f);
    }
}

#define WINDOW                                                                                     \
    int channels, int stride, int h, int w, int out_h, int out_w, int kh, int kw, int step,        \
        int top, int left
#define WINDOW_GIVEN Window{channels, stride, h, w, out_h, out_w, kh, kw, step, top, left}

#define EACH(T, NAME)                                                                              \
    extern "C" __global__ void depthwise_##NAME(WINDOW, const T *x, const float *k, T *y,          \
                                                int64_t n) {                                       \
        depthwise<T>(WINDOW_GIVEN, x, k, y, n);                                                    \
    }                                                                                              \
    extern "C" __global__ void depthwise_back_##NAME(WINDOW, const T *dy, const float *k, T *dx,   \
                                                     int64_t n) {                                  \
        depthwise_back<T>(WINDOW_GIVEN, dy, k, dx, n);                                             \
    }                                                                                              \
    extern "C" __global__ void bounded_##NAME(const T *x, const float *bias, T *y, int64_t n,      \
                                              int c, int stride, float low, float high) {          \
        bounded<T>(x, bias, y, n, c, stride, low, high);                                           \
    }                                                                                              \
    extern "C" __global__ void bounded_back_##NAME(const T *y, const T *dy, T *dx, int64_t n,      \
                                                   float low, float high) {                        \
        bounded_back<T>(y, dy, dx, n, low, high);                                                  \
    }

EACH(float, f32)
EACH(bf16, bf16)
