// Batch norm with its activation over maps (rows, channels), channels next to each other.
//
// Threads of a block lie over channel packs (x) and rows (y); blocks over packs (x) and chunks of rows (y). A thread keeps
// its channels and walks the rows of its chunk. Sums are f32 within a thread and a block, f64 over the chunks, always in
// one order: the same bits every time.
//
// A batch may be of several parts, one after the other, each normalised by itself (blocks' z): rows and outputs are those of
// one part.
//
// The input may be what an up-sampling convolution leaves: (images, h + 1, w + 1, 4 phases, channels), where phase (a, b) of
// (i, j) is the output pixel (2 (i - a) + a, 2 (j - b) + b), if there is one. h = 0 says that rows are as they are. There
// are fewer than 2^31 rows.
#include "types.cuh"

struct Rows {
    int h, w; // of the small image; 0: plain
    // The row of the output that the input's row belongs to, or -1.
    __device__ __forceinline__ int of(int r) const {
        if (h == 0) return r;
        int a = r >> 1 & 1, b = r & 1, q = r >> 2;
        int rest = q / (w + 1), n = rest / (h + 1);
        int j = q - rest * (w + 1) - b, i = rest - n * (h + 1) - a;
        if (i < 0 || i >= h || j < 0 || j >= w) return -1;
        return (n * 2 * h + 2 * i + a) * (2 * w) + 2 * j + b;
    }
};

// Where a part's input and output begin.
template <typename T> __device__ __forceinline__ T *part_of(T *p, int rows, int channels) {
    return p + (int64_t)blockIdx.z * rows * channels;
}

// Adds the two sums of every thread row of the block; the results are in the first row.
template <int V> __device__ __forceinline__ void add_rows(float (&s)[V], float (&q)[V]) {
    extern __shared__ float shared[];
    int tid = threadIdx.y * blockDim.x + threadIdx.x;
    float *mine = shared + tid * (2 * V);
    for (int i = 0; i < V; i++) {
        mine[i] = s[i];
        mine[V + i] = q[i];
    }
    __syncthreads();
    for (int half = blockDim.y >> 1; half > 0; half >>= 1) {
        if (threadIdx.y < half) {
            float *other = mine + half * blockDim.x * (2 * V);
            for (int i = 0; i < 2 * V; i++) mine[i] += other[i];
        }
        __syncthreads();
    }
    for (int i = 0; i < V; i++) {
        s[i] = mine[i];
        q[i] = mine[V + i];
    }
}

// partial (parts, 2, chunks, channels): sums of x - x0 and of its square, x0 the channel's value in row 0.
template <typename T, int V>
__device__ void sums(const T *x, float *partial, int rows, int channels, int chunk, Rows at) {
    int c = (blockIdx.x * blockDim.x + threadIdx.x) * V;
    bool here = c < channels;
    float s[V] = {}, q[V] = {};
    x = part_of(x, rows, channels);
    if (here) {
        Pack<T, V> first, value;
        first.read(x + c);
        int from = blockIdx.y * chunk, to = min(from + chunk, rows);
        for (int r = from + threadIdx.y; r < to; r += blockDim.y) {
            if (at.of(r) < 0) continue;
            value.read(x + (int64_t)r * channels + c);
#pragma unroll
            for (int i = 0; i < V; i++) {
                float d = value.v[i] - first.v[i];
                s[i] += d;
                q[i] += d * d;
            }
        }
    }
    add_rows<V>(s, q);
    if (here && threadIdx.y == 0) {
        float *out = partial + (2 * (int64_t)blockIdx.z * gridDim.y + blockIdx.y) * channels + c;
        int64_t second = (int64_t)gridDim.y * channels;
        for (int i = 0; i < V; i++) {
            out[i] = s[i];
            out[second + i] = q[i];
        }
    }
}

// The two sums of a channel over the chunks of a part, in the block's first row. Blocks of 32 channels by 32 rows.
__device__ __forceinline__ void add_chunks(const float *partial, int chunks, int channels, int c, double &s,
                                           double &q) {
    __shared__ double sums[32][32][2];
    s = q = 0;
    if (c < channels)
#pragma unroll 4
        for (int k = threadIdx.y; k < chunks; k += 32) {
            s += partial[(int64_t)k * channels + c];
            q += partial[(int64_t)(chunks + k) * channels + c];
        }
    __syncthreads(); // of an earlier part
    sums[threadIdx.y][threadIdx.x][0] = s;
    sums[threadIdx.y][threadIdx.x][1] = q;
    __syncthreads();
    for (int half = 16; half > 0; half >>= 1) {
        if (threadIdx.y < half) {
            sums[threadIdx.y][threadIdx.x][0] += sums[threadIdx.y + half][threadIdx.x][0];
            sums[threadIdx.y][threadIdx.x][1] += sums[threadIdx.y + half][threadIdx.x][1];
        }
        __syncthreads();
    }
    s = sums[0][threadIdx.x][0];
    q = sums[0][threadIdx.x][1];
}

// moments (parts, 3, channels): mean, biased variance, reciprocal deviation; and the running statistics' steps, part by part.
template <typename T>
__device__ void moments_of(const float *partial, const T *x, float *moments, float *running_mean,
                           float *running_var, int chunks, int channels, int parts, int rows, double count,
                           double eps, float momentum, float unbiased) {
    int c = blockIdx.x * 32 + threadIdx.x;
    for (int part = 0; part < parts; part++) {
        double s, q;
        add_chunks(partial + 2 * (int64_t)part * chunks * channels, chunks, channels, c, s, q);
        if (threadIdx.y > 0 || c >= channels) continue;
        double shift = s / count;
        double variance = fmax(q / count - shift * shift, 0.0);
        float first = load(x + (int64_t)part * rows * channels + c);
        float mean = (float)((double)first + shift), var = (float)variance;
        if (q != q) mean = var = (float)q;
        float *out = moments + 3 * (int64_t)part * channels + c;
        out[0] = mean;
        out[channels] = var;
        out[2 * channels] = (float)(1.0 / sqrt((double)var + eps));
        running_mean[c] = running_mean[c] * (1.f - momentum) + mean * momentum;
        running_var[c] = running_var[c] * (1.f - momentum) + var * unbiased * momentum;
    }
}

// y = activation((x - mean) * inverse * gamma + beta).
template <typename T, int V>
__device__ void normalise(const T *x, T *y, const float *moments, const float *gamma,
                          const float *beta, int rows, int outs, int channels, int chunk, float slope,
                          Rows at) {
    int c = (blockIdx.x * blockDim.x + threadIdx.x) * V;
    if (c >= channels) return;
    x = part_of(x, rows, channels);
    y = part_of(y, outs, channels);
    moments = part_of(moments, 3, channels);
    float mean[V], scale[V], shift[V];
    for (int i = 0; i < V; i++) {
        mean[i] = moments[c + i];
        scale[i] = gamma[c + i] * moments[2 * channels + c + i];
        shift[i] = beta[c + i];
    }
    Pack<T, V> value;
    int from = blockIdx.y * chunk, to = min(from + chunk, rows);
    for (int r = from + threadIdx.y; r < to; r += blockDim.y) {
        int out = at.of(r);
        if (out < 0) continue;
        value.read(x + (int64_t)r * channels + c);
#pragma unroll
        for (int i = 0; i < V; i++) {
            float z = (value.v[i] - mean[i]) * scale[i] + shift[i];
            value.v[i] = select_by(z, z, slope);
        }
        value.write(y + (int64_t)out * channels + c);
    }
}

// partial (parts, 2, chunks, channels): sums of dz and of dz * xhat, dz the gradient before the activation.
template <typename T, int V>
__device__ void gradient_sums(const T *x, const T *dy, const float *moments, const float *gamma,
                              const float *beta, float *partial, int rows, int outs, int channels,
                              int chunk, float slope, Rows at) {
    int c = (blockIdx.x * blockDim.x + threadIdx.x) * V;
    bool here = c < channels;
    x = part_of(x, rows, channels);
    dy = part_of(dy, outs, channels);
    moments = part_of(moments, 3, channels);
    float s[V] = {}, q[V] = {};
    if (here) {
        float mean[V], inverse[V], scale[V], shift[V];
        for (int i = 0; i < V; i++) {
            mean[i] = moments[c + i];
            inverse[i] = moments[2 * channels + c + i];
            scale[i] = gamma[c + i] * inverse[i];
            shift[i] = beta[c + i];
        }
        Pack<T, V> value, grad;
        int from = blockIdx.y * chunk, to = min(from + chunk, rows);
        for (int r = from + threadIdx.y; r < to; r += blockDim.y) {
            int out = at.of(r);
            if (out < 0) continue;
            value.read(x + (int64_t)r * channels + c);
            grad.read(dy + (int64_t)out * channels + c);
#pragma unroll
            for (int i = 0; i < V; i++) {
                float d = value.v[i] - mean[i];
                float dz = select_by(d * scale[i] + shift[i], grad.v[i], slope);
                s[i] += dz;
                q[i] += dz * (d * inverse[i]);
            }
        }
    }
    add_rows<V>(s, q);
    if (here && threadIdx.y == 0) {
        float *out = partial + (2 * (int64_t)blockIdx.z * gridDim.y + blockIdx.y) * channels + c;
        int64_t second = (int64_t)gridDim.y * channels;
        for (int i = 0; i < V; i++) {
            out[i] = s[i];
            out[second + i] = q[i];
        }
    }
}

// grads (1 + parts, 2, channels): of beta and of gamma, in all and of each part.
extern "C" __global__ void __launch_bounds__(1024) norm_gradients(const float *partial, float *grads, int chunks,
                                                                  int channels, int parts) {
    int c = blockIdx.x * 32 + threadIdx.x;
    double total_s = 0, total_q = 0;
    for (int part = 0; part < parts; part++) {
        double s, q;
        add_chunks(partial + 2 * (int64_t)part * chunks * channels, chunks, channels, c, s, q);
        if (threadIdx.y > 0 || c >= channels) continue;
        float *out = grads + 2 * (int64_t)(1 + part) * channels + c;
        out[0] = (float)s;
        out[channels] = (float)q;
        total_s += s;
        total_q += q;
    }
    if (threadIdx.y > 0 || c >= channels) return;
    grads[c] = (float)total_s;
    grads[channels + c] = (float)total_q;
}

// dx = gamma inverse (dz - through (mean(dz) + xhat mean(dz xhat))); 0 where a row belongs to no output.
template <typename T, int V>
__device__ void input_gradient(const T *x, const T *dy, T *dx, const float *moments, const float *gamma,
                               const float *beta, const float *grads, int rows, int outs, int channels,
                               int chunk, float slope, float through, Rows at) {
    int c = (blockIdx.x * blockDim.x + threadIdx.x) * V;
    if (c >= channels) return;
    x = part_of(x, rows, channels);
    dx = part_of(dx, rows, channels);
    dy = part_of(dy, outs, channels);
    moments = part_of(moments, 3, channels);
    grads = part_of(grads + 2 * channels, 2, channels);
    float mean[V], inverse[V], scale[V], shift[V], s[V], q[V];
    for (int i = 0; i < V; i++) {
        mean[i] = moments[c + i];
        inverse[i] = moments[2 * channels + c + i];
        scale[i] = gamma[c + i] * inverse[i];
        shift[i] = beta[c + i];
        s[i] = through == 0.f ? 0.f : grads[c + i] * through;
        q[i] = through == 0.f ? 0.f : grads[channels + c + i] * through;
    }
    Pack<T, V> value, grad;
    int from = blockIdx.y * chunk, to = min(from + chunk, rows);
    for (int r = from + threadIdx.y; r < to; r += blockDim.y) {
        int out = at.of(r);
        if (out < 0) {
            for (int i = 0; i < V; i++) value.v[i] = 0.f;
        } else {
            value.read(x + (int64_t)r * channels + c);
            grad.read(dy + (int64_t)out * channels + c);
#pragma unroll
            for (int i = 0; i < V; i++) {
                float d = value.v[i] - mean[i];
                float dz = select_by(d * scale[i] + shift[i], grad.v[i], slope);
                value.v[i] = scale[i] * (dz - s[i] - d * inverse[i] * q[i]);
            }
        }
        value.write(dx + (int64_t)r * channels + c);
    }
}

#define EACH(T, NAME, V)                                                                           \
    extern "C" __global__ void norm_sums_##NAME(const T *x, float *partial, int rows, int channels,\
                                                int chunk, int h, int w) {                         \
        sums<T, V>(x, partial, rows, channels, chunk, Rows{h, w});                                 \
    }                                                                                              \
    extern "C" __global__ void norm_apply_##NAME(                                                  \
        const T *x, T *y, const float *moments, const float *gamma, const float *beta, int rows,   \
        int outs, int channels, int chunk, float slope, int h, int w) {                            \
        normalise<T, V>(x, y, moments, gamma, beta, rows, outs, channels, chunk, slope, Rows{h, w});\
    }                                                                                              \
    extern "C" __global__ void norm_gradient_sums_##NAME(                                          \
        const T *x, const T *dy, const float *moments, const float *gamma, const float *beta,      \
        float *partial, int rows, int outs, int channels, int chunk, float slope, int h, int w) {  \
        gradient_sums<T, V>(x, dy, moments, gamma, beta, partial, rows, outs, channels, chunk,     \
                            slope, Rows{h, w});                                                    \
    }                                                                                              \
    extern "C" __global__ void norm_input_gradient_##NAME(                                         \
        const T *x, const T *dy, T *dx, const float *moments, const float *gamma,                  \
        const float *beta, const float *grads, int rows, int outs, int channels, int chunk,        \
        float slope, float through, int h, int w) {                                                \
        input_gradient<T, V>(x, dy, dx, moments, gamma, beta, grads, rows, outs, channels, chunk,  \
                             slope, through, Rows{h, w});                                          \
    }

EACH(float, f32_1, 1)
EACH(float, f32_4, 4)
EACH(bf16, bf16_1, 1)
EACH(bf16, bf16_8, 8)

#define MOMENTS(T, NAME)                                                                           \
    extern "C" __global__ void __launch_bounds__(1024) norm_moments_##NAME(                        \
        const float *partial, const T *x, float *moments, float *running_mean,                     \
        float *running_var, int chunks, int channels, int parts, int rows, double count,           \
        double eps, float momentum, float unbiased) {                                              \
        moments_of<T>(partial, x, moments, running_mean, running_var, chunks, channels, parts,     \
                      rows, count, eps, momentum, unbiased);                                       \
    }

MOMENTS(float, f32)
MOMENTS(bf16, bf16)

// moments (3, channels) from given statistics.
extern "C" __global__ void norm_given(const float *mean, const float *variance, float *moments,
                                      int channels, double eps) {
    EVERY(c, channels) {
        moments[c] = mean[c];
        moments[channels + c] = variance[c];
        moments[2 * channels + c] = (float)(1.0 / sqrt((double)variance[c] + eps));
    }
}
