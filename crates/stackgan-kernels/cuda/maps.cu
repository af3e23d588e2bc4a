// Into maps and out of them, activations, sums, appended vectors, weights in the order that cuDNN wants.
#include "types.cuh"

#define EVERY(i, n)                                                                                \
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < (n);                      \
         i += (int64_t)gridDim.x * blockDim.x)

// (n, c, h w) f32 to (n, h w, c).
template <typename T>
__device__ void enter(const float *x, T *y, int64_t count, int channels, int64_t pixels) {
    EVERY(i, count) {
        int64_t c = i % channels, rest = i / channels;
        int64_t p = rest % pixels, n = rest / pixels;
        store(y + i, x[(n * channels + c) * pixels + p]);
    }
}

// (n, h w, c) to (n, c, h w) f32.
template <typename T>
__device__ void leave(const T *x, float *y, int64_t count, int channels, int64_t pixels) {
    EVERY(i, count) {
        int64_t p = i % pixels, rest = i / pixels;
        int64_t c = rest % channels, n = rest / channels;
        y[i] = load(x + (n * pixels + p) * channels + c);
    }
}

template <typename T> __device__ void activate(const T *x, T *y, int64_t count, float slope) {
    EVERY(i, count) {
        float v = load(x + i);
        store(y + i, select_by(v, v, slope));
    }
}

// The sign of a result is that of what was activated, whatever the slope.
template <typename T>
__device__ void activate_back(const T *y, const T *dy, T *dx, int64_t count, float slope) {
    EVERY(i, count) store(dx + i, select_by(load(y + i), load(dy + i), slope));
}

template <typename T>
__device__ void add_activate(const T *a, const T *b, T *y, int64_t count, float slope) {
    EVERY(i, count) {
        float v = load(a + i) + load(b + i);
        store(y + i, select_by(v, v, slope));
    }
}

template <typename T> __device__ void add(const T *a, const T *b, T *y, int64_t count) {
    EVERY(i, count) store(y + i, load(a + i) + load(b + i));
}

// (n, pixels, a) and (n, b) to (n, pixels, a + b).
template <typename T>
__device__ void append(const T *x, const float *v, T *y, int64_t count, int a, int b, int64_t pixels) {
    EVERY(i, count) {
        int64_t c = i % (a + b), row = i / (a + b);
        store(y + i, c < a ? load(x + row * a + c) : v[row / pixels * b + (c - a)]);
    }
}

// The gradient of the maps that a vector was appended to.
template <typename T> __device__ void append_back(const T *dy, T *dx, int64_t count, int a, int b) {
    EVERY(i, count) store(dx + i, load(dy + i / a * (a + b) + i % a));
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

// (out, in, k k) f32 to (out, k k, in).
template <typename T>
__device__ void weight_in(const float *w, T *y, int64_t count, int in, int taps) {
    EVERY(i, count) {
        int64_t c = i % in, rest = i / in;
        int64_t t = rest % taps, o = rest / taps;
        store(y + i, w[(o * in + c) * taps + t]);
    }
}

// (out, k k, in) to (out, in, k k) f32.
template <typename T>
__device__ void weight_out(const T *w, float *y, int64_t count, int in, int taps) {
    EVERY(i, count) {
        int64_t t = i % taps, rest = i / taps;
        int64_t c = rest % in, o = rest / in;
        y[i] = load(w + (o * taps + t) * in + c);
    }
}

// Of the three taps of a line, those that phase a adds up for the small image's pixel p: first and last.
__device__ __forceinline__ void taps_of(int a, int p, int &first, int &last) {
    first = a == 0 ? p : 2 * p;
    last = a == 0 ? 2 * p : p + 1;
}

// (out, in, 3, 3) f32 to (4 phases, out, 2, 2, in): the taps that fall on one pixel of the small image, added.
template <typename T>
__device__ void phases_in(const float *w, T *y, int64_t count, int out, int in) {
    EVERY(i, count) {
        int64_t c = i % in, rest = i / in;
        int q = (int)(rest & 1), p = (int)(rest >> 1 & 1);
        rest >>= 2;
        int64_t o = rest % out;
        int phase = (int)(rest / out), u0, u1, v0, v1;
        taps_of(phase >> 1, p, u0, u1);
        taps_of(phase & 1, q, v0, v1);
        const float *taps = w + (o * in + c) * 9;
        float sum = 0.f;
        for (int u = u0; u <= u1; u++)
            for (int v = v0; v <= v1; v++) sum += taps[3 * u + v];
        store(y + i, sum);
    }
}

// The gradient of (out, in, 3, 3) from that of its phases.
template <typename T>
__device__ void phases_out(const T *w, float *y, int64_t count, int out, int in) {
    EVERY(i, count) {
        int64_t t = i % 9, rest = i / 9;
        int64_t c = rest % in, o = rest / in;
        int u = (int)(t / 3), v = (int)(t % 3);
        float sum = 0.f;
        for (int phase = 0; phase < 4; phase++)
            for (int p = 0; p < 2; p++)
                for (int q = 0; q < 2; q++) {
                    int u0, u1, v0, v1;
                    taps_of(phase >> 1, p, u0, u1);
                    taps_of(phase & 1, q, v0, v1);
                    if (u < u0 || u > u1 || v < v0 || v > v1) continue;
                    sum += load(w + (((phase * (int64_t)out + o) * 4 + 2 * p + q) * in + c));
                }
        y[i] = sum;
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
    extern "C" __global__ void enter_##NAME(const float *x, T *y, int64_t n, int c, int64_t p) {   \
        enter<T>(x, y, n, c, p);                                                                   \
    }                                                                                              \
    extern "C" __global__ void leave_##NAME(const T *x, float *y, int64_t n, int c, int64_t p) {   \
        leave<T>(x, y, n, c, p);                                                                   \
    }                                                                                              \
    extern "C" __global__ void activate_##NAME(const T *x, T *y, int64_t n, float slope) {         \
        activate<T>(x, y, n, slope);                                                               \
    }                                                                                              \
    extern "C" __global__ void activate_back_##NAME(const T *y, const T *dy, T *dx, int64_t n,     \
                                                    float slope) {                                 \
        activate_back<T>(y, dy, dx, n, slope);                                                     \
    }                                                                                              \
    extern "C" __global__ void add_activate_##NAME(const T *a, const T *b, T *y, int64_t n,        \
                                                   float slope) {                                  \
        add_activate<T>(a, b, y, n, slope);                                                        \
    }                                                                                              \
    extern "C" __global__ void add_##NAME(const T *a, const T *b, T *y, int64_t n) {               \
        add<T>(a, b, y, n);                                                                        \
    }                                                                                              \
    extern "C" __global__ void append_##NAME(const T *x, const float *v, T *y, int64_t n, int a,   \
                                             int b, int64_t pixels) {                              \
        append<T>(x, v, y, n, a, b, pixels);                                                       \
    }                                                                                              \
    extern "C" __global__ void append_back_##NAME(const T *dy, T *dx, int64_t n, int a, int b) {   \
        append_back<T>(dy, dx, n, a, b);                                                           \
    }                                                                                              \
    extern "C" __global__ void append_sum_##NAME(const T *dy, float *dv, int64_t n, int a, int b,  \
                                                 int64_t pixels) {                                 \
        append_sum<T>(dy, dv, n, a, b, pixels);                                                    \
    }                                                                                              \
    extern "C" __global__ void weight_in_##NAME(const float *w, T *y, int64_t n, int in,           \
                                                int taps) {                                        \
        weight_in<T>(w, y, n, in, taps);                                                           \
    }                                                                                              \
    extern "C" __global__ void weight_out_##NAME(const T *w, float *y, int64_t n, int in,          \
                                                 int taps) {                                       \
        weight_out<T>(w, y, n, in, taps);                                                          \
    }                                                                                              \
    extern "C" __global__ void phases_in_##NAME(const float *w, T *y, int64_t n, int out, int in) {\
        phases_in<T>(w, y, n, out, in);                                                            \
    }                                                                                              \
    extern "C" __global__ void phases_out_##NAME(const T *w, float *y, int64_t n, int out,         \
                                                 int in) {                                         \
        phases_out<T>(w, y, n, out, in);                                                           \
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
