// cuBLAS, as far as candle uses it: products of matrices whose columns lie one after the other. And cuRAND's generator,
// which candle makes and this program never asks for a number.
#include "stand_in.h"

namespace stand_in {

struct Blas {
    void *stream = nullptr;
};

struct Matrix {
    bool turned;
    const void *at;
    size_t step, stride; // between columns, between matrices
    size_t bytes(size_t rows, size_t columns, size_t count, Type type) const {
        return ((count - 1) * stride + (columns - 1) * step + rows) * bytes_of(type);
    }
};

// c (m, n) = alpha a (m, k) b (k, n) + beta c, in T.
template <typename T> static void product(int m, int n, int k, T alpha, Matrix a, Matrix b, T beta, void *c, Type type,
                                          size_t step, size_t stride, int count) {
    auto read = [=](const Matrix &from, size_t at) -> T {
        if constexpr (sizeof(T) == 8) return static_cast<const double *>(from.at)[at];
        return load(from.at, at, type);
    };
    within(a.at, a.bytes(a.turned ? k : m, a.turned ? m : k, count, type));
    within(b.at, b.bytes(b.turned ? n : k, b.turned ? k : n, count, type));
    within(c, Matrix{false, c, step, stride}.bytes(m, n, count, type));
    std::vector<T> left(size_t(m) * k), right(size_t(k) * n), sum(size_t(m) * n);
    for (int each = 0; each < count; each++) {
        // In order of rows: columns of `a` next to each other, and rows of the turned result.
        for (int i = 0; i < m; i++)
            for (int l = 0; l < k; l++)
                left[size_t(l) * m + i] = read(a, each * a.stride + (a.turned ? i * a.step + l : l * a.step + i));
        for (int l = 0; l < k; l++)
            for (int j = 0; j < n; j++)
                right[size_t(j) * k + l] = read(b, each * b.stride + (b.turned ? l * b.step + j : j * b.step + l));
        std::fill(sum.begin(), sum.end(), T(0));
        multiply(right.data(), left.data(), sum.data(), n, k, m);
        for (int j = 0; j < n; j++)
            for (int i = 0; i < m; i++) {
                size_t at = each * stride + j * step + i;
                T value = alpha * sum[size_t(j) * m + i];
                if constexpr (sizeof(T) == 8) {
                    auto *to = static_cast<double *>(c);
                    to[at] = value + (beta == 0 ? 0 : beta * to[at]);
                } else {
                    store(c, at, type, value + (beta == 0 ? 0 : beta * load(c, at, type)));
                }
            }
    }
}

} // namespace stand_in
using namespace stand_in;

extern "C" {

int cublasCreate_v2(void **handle) { return *handle = new Blas, OK; }
int cublasDestroy_v2(void *handle) { return delete static_cast<Blas *>(handle), OK; }
int cublasSetStream_v2(void *handle, void *stream) { return static_cast<Blas *>(handle)->stream = stream, OK; }

int cublasGemmStridedBatchedEx(void *handle, int ta, int tb, int m, int n, int k, const void *alpha, const void *a,
                               int a_type, int lda, long long a_stride, const void *b, int b_type, int ldb,
                               long long b_stride, const void *beta, void *c, int c_type, int ldc, long long c_stride,
                               int count, int, int) {
    WHOLE;
    // cudaDataType: 0 is f32, 14 bf16, which is always summed in f32.
    if (a_type != b_type || a_type != c_type || (a_type != 0 && a_type != 14))
        wrong("a product of types %d and %d", a_type, b_type);
    Type type = a_type == 0 ? Type::F32 : Type::BF16;
    float x = *static_cast<const float *>(alpha), y = *static_cast<const float *>(beta);
    Matrix left{ta != 0, a, size_t(lda), size_t(a_stride)}, right{tb != 0, b, size_t(ldb), size_t(b_stride)};
    return queue(of(static_cast<Blas *>(handle)->stream),
                 [=] { product<float>(m, n, k, x, left, right, y, c, type, ldc, c_stride, count); });
}
int cublasDgemmStridedBatched(void *handle, int ta, int tb, int m, int n, int k, const double *alpha, const double *a,
                              int lda, long long a_stride, const double *b, int ldb, long long b_stride,
                              const double *beta, double *c, int ldc, long long c_stride, int count) {
    WHOLE;
    Matrix left{ta != 0, a, size_t(lda), size_t(a_stride)}, right{tb != 0, b, size_t(ldb), size_t(b_stride)};
    return queue(of(static_cast<Blas *>(handle)->stream), [=, x = *alpha, y = *beta] {
        product<double>(m, n, k, x, left, right, y, c, Type::F64, ldc, c_stride, count);
    });
}

int curandCreateGenerator(void **generator, int) { return *generator = new char, OK; }
int curandDestroyGenerator(void *generator) { return delete static_cast<char *>(generator), OK; }
int curandSetPseudoRandomGeneratorSeed(void *, unsigned long long) { return OK; }
int curandSetStream(void *, void *) { return OK; }
}
