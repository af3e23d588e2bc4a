// Into maps and out of them, activations, sums, appended vectors, weights in the order that cuDNN wants.
#include "types.cuh"

// Maps of few channels have zeros behind them, so that tensor cores can read them: a pixel takes `stride` values.

// (n, c, h w) f32 to (n, h w, stride).
template <typename T>
__device__ void enter(const float *x, T *y, int64_t count, int channels, int stride, int64_t pixels) {
    EVERY(i, count) {
        int64_t c = i % stride, rest = i / stride;
        int64_t p = rest % pixels, n = rest / pixels;
        store(y + i, c < channels ? x[(n * channels + c) * pixels + p] : 0.f);
    }
}

// (n, h w, stride) to (n, c, h w) f32.
template <typename T>
__device__ void leave(const T *x, float *y, int64_t count, int channels, int stride, int64_t pixels) {
    EVERY(i, count) {
        int64_t p = i % pixels, rest = i / pixels;
        int64_t c = rest % channels, n = rest / channels;
        y[i] = load(x + (n * pixels + p) * stride + c);
    }
}

// Values in packs of 16 bytes, and what is left over one by one.
template <typename T, typename F> __device__ __forceinline__ void packs(int64_t count, F f) {
    constexpr int V = 16 / sizeof(T);
    int64_t whole = count / V;
    EVERY(i, whole) f.template operator()<V>(i * V);
    int64_t rest = whole * V + blockIdx.x * (int64_t)blockDim.x + threadIdx.x;
    if (rest < count) f.template operator()<1>(rest);
}

template <typename T> struct Activate {
    const T *x;
    T *y;
    float slope;
    template <int V> __device__ __forceinline__ void operator()(int64_t i) const {
        Pack<T, V> v;
        v.read(x + i);
#pragma unroll
        for (int k = 0; k < V; k++) v.v[k] = select_by(v.v[k], v.v[k], slope);
        v.write(y + i);
    }
};

// The sign of a result is that of what was activated, because no slope is negative.
template <typename T> struct ActivateBack {
    const T *y, *dy;
    T *dx;
    float slope;
    template <int V> __device__ __forceinline__ void operator()(int64_t i) const {
        Pack<T, V> v, d;
        v.read(y + i);
        d.read(dy + i);
#pragma unroll
        for (int k = 0; k < V; k++) v.v[k] = select_by(v.v[k], d.v[k], slope);
        v.write(dx + i);
    }
};

template <typename T> struct AddActivate {
    const T *a, *b;
    T *y;
    float slope;
    template <int V> __device__ __forceinline__ void operator()(int64_t i) const {
        Pack<T, V> v, w;
        v.read(a + i);
        w.read(b + i);
#pragma unroll
        for (int k = 0; k < V; k++) {
            float sum = v.v[k] + w.v[k];
            v.v[k] = select_by(sum, sum, slope);
        }
        v.write(y + i);
    }
};

// (n, pixels, stride) of a channels and (n, b) to (n, pixels, a + b).
template <typename T>
__device__ void append(const T *x, const float *v, T *y, int64_t count, int a, int b, int stride,
                       int64_t pixels) {
    EVERY(i, count) {
        int64_t c = i % (a + b), row = i / (a + b);
        store(y + i, c < a ? load(x + row * stride + c) : v[row / pixels * b + (c - a)]);
    }
}

// The gradient of the maps that a vector was appended to.
template <typename T>
__device__ void append_back(const T *dy, T *dx, int64_t count, int a, int b, int stride) {
    EVERY(i, count) {
        int64_t c = i % stride, row = i / stride;
        store(dx + i, c < a ? load(dy + row * (a + b) + c) : 0.f);
    }
}

// The gradient of the appended vector: a sum over pixels.
template <typename T>
__device__ void append_sum(const T *dy, float *dv, int64_t count, int a, int b, int64_t pixels) {
    EVERY(i, count) {
        int64_t c = i % b, n = i / b;
        float sum = 0.f;
        for (int64_t p = 0; p < pixels; p++) sum += load(dy + (n * pixels + p) * (a + b) + a + c);
        dv[i] = sum;
    }
}

// Weights go by tiles of 32 input channels of one output channel, through shared memory: neighbours in a warp are
// neighbours on both sides. A block has a warp for each of several output channels. On the maps' side there may be more
// channels than the weight has: zeros.
#define TILE 32
#define MOST_TAPS 16
#define WARPS 8

// (out, in, taps) f32 to (outs, taps, ins), outs >= out, ins >= in.
template <typename T>
__device__ void weight_in(const float *w, T *y, int out, int in, int outs, int ins, int taps) {
    __shared__ float tile[WARPS][TILE * MOST_TAPS];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int64_t o = (int64_t)blockIdx.y * WARPS + warp;
    int first = blockIdx.x * TILE, width = min(TILE, in - first);
    if (o >= outs) return;
    if (o < out && width > 0)
        for (int i = lane; i < width * taps; i += 32) tile[warp][i] = w[(o * in + first) * taps + i];
    __syncwarp();
    if (first + lane < ins)
        for (int t = 0; t < taps; t++)
            store(y + (o * taps + t) * ins + first + lane,
                  o < out && lane < width ? tile[warp][lane * taps + t] : 0.f);
}

// (outs, taps, ins) to (out, in, taps) f32.
template <typename T>
__device__ void weight_out(const T *w, float *y, int out, int in, int ins, int taps) {
    __shared__ float tile[WARPS][TILE * MOST_TAPS];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int64_t o = (int64_t)blockIdx.y * WARPS + warp;
    int first = blockIdx.x * TILE, width = min(TILE, in - first);
    if (o >= out || width <= 0) return;
    if (lane < width)
        for (int t = 0; t < taps; t++) tile[warp][lane * taps + t] = load(w + (o * taps + t) * ins + first + lane);
    __syncwarp();
    for (int i = lane; i < width * taps; i += 32) y[(o * in + first) * taps + i] = tile[warp][i];
}

// (out, in, 3, 3) f32 to (4 phases, out, 2, 2, in): the taps that fall on one pixel of the small image, added. Along a line
// phase 0 sees a, b + c and phase 1 a + b, c.
template <typename T>
__device__ void phases_in(const float *w, T *y, int64_t pairs, int out, int in, int outs, int ins) {
    EVERY(i, pairs) { // pairs of outs and ins
        int64_t o = i / ins, c = i % ins;
        bool there = o < out && c < in;
        const float *from = w + (there ? (o * in + c) * 9 : 0);
        float lines[2][2][3]; // phase, pixel of the vertical axis, horizontal tap
        for (int v = 0; v < 3; v++) {
            float a = there ? from[v] : 0.f, b = there ? from[3 + v] : 0.f, d = there ? from[6 + v] : 0.f;
            lines[0][0][v] = a;
            lines[0][1][v] = b + d;
            lines[1][0][v] = a + b;
            lines[1][1][v] = d;
        }
        for (int m = 0; m < 2; m++)
            for (int p = 0; p < 2; p++) {
                const float *t = lines[m][p];
                float sums[2][2] = {{t[0], t[1] + t[2]}, {t[0] + t[1], t[2]}};
                for (int n = 0; n < 2; n++)
                    for (int q = 0; q < 2; q++)
                        store(y + (((2 * m + n) * (int64_t)outs + o) * 4 + 2 * p + q) * ins + c, sums[n][q]);
            }
    }
}

// The gradient of (out, in, 3, 3) from that of its phases.
template <typename T>
__device__ void phases_out(const T *w, float *y, int64_t pairs, int in, int outs, int ins) {
    EVERY(i, pairs) {
        int64_t o = i / in, c = i % in;
        float taps[3][3] = {};
        for (int m = 0; m < 2; m++)
            for (int p = 0; p < 2; p++) {
                float line[3] = {};
                for (int n = 0; n < 2; n++)
                    for (int q = 0; q < 2; q++) {
                        float g = load(w + (((2 * m + n) * (int64_t)outs + o) * 4 + 2 * p + q) * ins + c);
                        if (n == 0 && q == 0) line[0] += g;
                        if (n == 0 && q == 1) line[1] += g, line[2] += g;
                        if (n == 1 && q == 0) line[0] += g, line[1] += g;
                        if (n == 1 && q == 1) line[2] += g;
                    }
                for (int v = 0; v < 3; v++) {
                    if (m == 0 && p == 0) taps[0][v] += line[v];
                    if (m == 0 && p == 1) taps[1][v] += line[v], taps[2][v] += line[v];
                    if (m == 1 && p == 0) taps[0][v] += line[v], taps[1][v] += line[v];
                    if (m == 1 && p == 1) taps[2][v] += line[v];
                }
            }
        for (int t = 0; t < 9; t++) y[i * 9 + t] = taps[t / 3][t % 3];
    }
}

// (images, h + 1, w + 1, 4, c) to (images, 2 h, 2 w, c).
template <typename T>
__device__ void shuffle(const T *t, T *y, int64_t count, int channels, int h, int w) {
    EVERY(i, count) {
        int64_t c = i % channels, rest = i / channels;
        int x = (int)(rest % (2 * w));
        rest /= 2 * w;
        int v = (int)(rest % (2 * h));
        int64_t n = rest / (2 * h);
        int a = v & 1, b = x & 1;
        int64_t row = ((n * (h + 1) + (v >> 1) + a) * (w + 1) + (x >> 1) + b) * 4 + 2 * a + b;
        store(y + i, load(t + row * channels + c));
    }
}

// The other way, with 0 where there is no output.
template <typename T>
__device__ void unshuffle(const T *dy, T *dt, int64_t count, int channels, int h, int w) {
    EVERY(i, count) {
        int64_t c = i % channels, r = i / channels;
        int phase = (int)(r & 3);
        int64_t q = r >> 2;
        int a = phase >> 1, b = phase & 1;
        int j = (int)(q % (w + 1)) - b;
        int64_t rest = q / (w + 1);
        int k = (int)(rest % (h + 1)) - a;
        int64_t n = rest / (h + 1);
        bool inside = k >= 0 && k < h && j >= 0 && j < w;
        int64_t row = (n * 2 * h + 2 * k + a) * (2 * w) + 2 * j + b;
        store(dt + i, inside ? load(dy + row * channels + c) : 0.f);
    }
}

#define EACH(T, NAME)                                                                              \
    extern "C" __global__ void enter_##NAME(const float *x, T *y, int64_t n, int c, int stride,    \
                                            int64_t p) {                                           \
        enter<T>(x, y, n, c, stride, p);                                                           \
    }                                                                                              \
    extern "C" __global__ void leave_##NAME(const T *x, float *y, int64_t n, int c, int stride,    \
                                            int64_t p) {                                           \
        leave<T>(x, y, n, c, stride, p);                                                           \
    }                                                                                              \
    extern "C" __global__ void activate_##NAME(const T *x, T *y, int64_t n, float slope) {         \
        packs<T>(n, Activate<T>{x, y, slope});                                                     \
    }                                                                                              \
    extern "C" __global__ void activate_back_##NAME(const T *y, const T *dy, T *dx, int64_t n,     \
                                                    float slope) {                                 \
        packs<T>(n, ActivateBack<T>{y, dy, dx, slope});                                            \
    }                                                                                              \
    extern "C" __global__ void add_activate_##NAME(const T *a, const T *b, T *y, int64_t n,        \
                                                   float slope) {                                  \
        packs<T>(n, AddActivate<T>{a, b, y, slope});                                               \
    }                                                                                              \
    extern "C" __global__ void append_##NAME(const T *x, const float *v, T *y, int64_t n, int a,   \
                                             int b, int stride, int64_t pixels) {                  \
        append<T>(x, v, y, n, a, b, stride, pixels);                                               \
    }                                                                                              \
    extern "C" __global__ void append_back_##NAME(const T *dy, T *dx, int64_t n, int a, int b,     \
                                                  int stride) {                                    \
        append_back<T>(dy, dx, n, a, b, stride);                                                   \
    }                                                                                              \
    extern "C" __global__ void append_sum_##NAME(const T *dy, float *dv, int64_t n, int a, int b,  \
                                                 int64_t pixels) {                                 \
        append_sum<T>(dy, dv, n, a, b, pixels);                                                    \
    }                                                                                              \
    extern "C" __global__ void weight_in_##NAME(const float *w, T *y, int out, int in, int outs,   \
                                                int ins, int taps) {                               \
        weight_in<T>(w, y, out, in, outs, ins, taps);                                              \
    }                                                                                              \
    extern "C" __global__ void weight_out_##NAME(const T *w, float *y, int out, int in, int ins,   \
                                                 int taps) {                                       \
        weight_out<T>(w, y, out, in, ins, taps);                                                   \
    }                                                                                              \
    extern "C" __global__ void phases_in_##NAME(const float *w, T *y, int64_t n, int out, int in,  \
                                                int outs, int ins) {                               \
        phases_in<T>(w, y, n, out, in, outs, ins);                                                 \
    }                                                                                              \
    extern "C" __global__ void phases_out_##NAME(const T *w, float *y, int64_t n, int in, int outs,\
                                                 int ins) {                                        \
        phases_out<T>(w, y, n, in, outs, ins);                                                     \
    }                                                                                              \
    extern "C" __global__ void shuffle_##NAME(const T *t, T *y, int64_t n, int c, int h, int w) {  \
        shuffle<T>(t, y, n, c, h, w);                                                              \
    }                                                                                              \
    extern "C" __global__ void unshuffle_##NAME(const T *dy, T *dt, int64_t n, int c, int h,       \
                                                int w) {                                           \
        unshuffle<T>(dy, dt, n, c, h, w);                                                          \
    }

EACH(float, f32)
EACH(bf16, bf16)
