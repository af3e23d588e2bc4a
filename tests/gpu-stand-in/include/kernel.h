// What a kernel's source may use of CUDA C++, for a CPU. Included before each source file.
#pragma once
#include <cassert>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>

#define __CUDA_ARCH__ 800
#define __CUDACC_VER_MAJOR__ 13
#define __CUDACC_VER_MINOR__ 0
#define __device__
#define __host__
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)
// Marks for `nvcc`, which finds them after the preprocessor: the kernels, and memory of the size that a launch gives.
#define __global__ stand_in_kernel
#define __shared__ stand_in_shared

// Where the thread that runs is.
struct Three {
    unsigned x, y, z;
};
struct Place {
    Three thread, block, threads, blocks;
    char *shared;
};
extern Place stand_in_place;
#define threadIdx (stand_in_place.thread)
#define blockIdx (stand_in_place.block)
#define blockDim (stand_in_place.threads)
#define gridDim (stand_in_place.blocks)

// Waits for all threads of the block or of the warp.
extern "C" void stand_in_block_barrier();
extern "C" void stand_in_warp_barrier();
// Gives 8 bytes of each lane to the others, and returns those of another lane.
extern "C" uint64_t stand_in_shuffle(uint64_t mine, unsigned lane);
extern "C" unsigned stand_in_lane();
#define __syncthreads stand_in_block_barrier
#define __syncwarp stand_in_warp_barrier

template <typename T> T __shfl_xor_sync(unsigned, T mine, int mask, int = 32) {
    uint64_t bits = 0;
    static_assert(sizeof(T) <= sizeof bits);
    memcpy(&bits, &mine, sizeof(T));
    bits = stand_in_shuffle(bits, stand_in_lane() ^ mask);
    memcpy(&mine, &bits, sizeof(T));
    return mine;
}

struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }

template <typename A, typename B> auto min(A a, B b) -> std::common_type_t<A, B> {
    using T = std::common_type_t<A, B>;
    return T(b) < T(a) ? T(b) : T(a);
}
template <typename A, typename B> auto max(A a, B b) -> std::common_type_t<A, B> {
    using T = std::common_type_t<A, B>;
    return T(a) < T(b) ? T(b) : T(a);
}
inline float rsqrtf(float x) { return 1.f / sqrtf(x); }
inline double rsqrt(double x) { return 1. / sqrt(x); }
inline float normcdff(float x) { return 0.5f * erfcf(-x * float(M_SQRT1_2)); }
inline double normcdf(double x) { return 0.5 * erfc(-x * M_SQRT1_2); }
using std::isfinite;
using std::isinf;
using std::isnan;
using std::signbit;

template <typename To, typename From> To stand_in_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
inline unsigned __float_as_uint(float x) { return stand_in_bits<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return stand_in_bits<float>(x); }
inline int __float_as_int(float x) { return stand_in_bits<int>(x); }
inline float __int_as_float(int x) { return stand_in_bits<float>(x); }
inline long long __double_as_longlong(double x) { return stand_in_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return stand_in_bits<double>(x); }

// A number stored in few bits and computed with in f32. `C` has `uint16_t of(float)` and `float from(uint16_t)`.
template <typename Bits, typename C> struct Small {
    Bits __x;
    Small() = default;
    template <typename T, typename = std::enable_if_t<std::is_arithmetic_v<T>>> Small(T v) : __x(C::of(float(v))) {}
    template <typename B, typename D> explicit Small(Small<B, D> v) : __x(C::of(float(v))) {}
    operator float() const { return C::from(__x); }
    Small &operator+=(Small b) { return *this = *this + b; }
    Small &operator*=(Small b) { return *this = *this * b; }
    friend Small operator+(Small a, Small b) { return float(a) + float(b); }
    friend Small operator-(Small a, Small b) { return float(a) - float(b); }
    friend Small operator*(Small a, Small b) { return float(a) * float(b); }
    friend Small operator/(Small a, Small b) { return float(a) / float(b); }
    friend Small operator-(Small a) { return -float(a); }
    friend bool operator<(Small a, Small b) { return float(a) < float(b); }
    friend bool operator>(Small a, Small b) { return float(a) > float(b); }
    friend bool operator<=(Small a, Small b) { return float(a) <= float(b); }
    friend bool operator>=(Small a, Small b) { return float(a) >= float(b); }
    friend bool operator==(Small a, Small b) { return float(a) == float(b); }
    friend bool operator!=(Small a, Small b) { return float(a) != float(b); }
};

// bf16: the upper half of an f32, rounded to nearest, ties to even.
struct UpperHalf {
    static uint16_t of(float v) {
        uint32_t bits = __float_as_uint(v);
        if (v != v) return 0x7fff;
        return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
    static float from(uint16_t bits) { return __uint_as_float(uint32_t(bits) << 16); }
};
typedef Small<uint16_t, UpperHalf> __nv_bfloat16;
inline float __bfloat162float(__nv_bfloat16 v) { return v; }
inline __nv_bfloat16 __float2bfloat16(float v) { return v; }
inline __nv_bfloat16 __float2bfloat16_rn(float v) { return v; }

// f16 and f8 are compiled, because candle has kernels of them, and are stored as if they were bf16: nothing here uses
// them.
struct NotUsed {
    static uint16_t of(float v) { return UpperHalf::of(v); }
    static float from(uint16_t bits) { return UpperHalf::from(bits); }
};
struct NotUsedEither {
    static uint8_t of(float v) { return uint8_t(UpperHalf::of(v) >> 8); }
    static float from(uint8_t bits) { return UpperHalf::from(uint16_t(bits << 8)); }
};
typedef Small<uint16_t, NotUsed> __half;
typedef Small<uint8_t, NotUsedEither> __nv_fp8_e4m3;
enum { __NV_E4M3 };
inline float __half2float(__half v) { return v; }
inline __half __float2half(float v) { return v; }
inline uint16_t __half_as_ushort(__half v) { return v.__x; }
inline __half __ushort_as_half(uint16_t bits) {
    __half v;
    v.__x = bits;
    return v;
}
inline __half __nv_cvt_fp8_to_halfraw(uint8_t bits, int) { return NotUsedEither::from(bits); }

#define STAND_IN_SMALL(T)                                                                                              \
    inline bool __hisnan(T v) { return isnan(float(v)); }                                                              \
    inline T __hmax_nan(T a, T b) { return __hisnan(a) ? a : a < b || __hisnan(b) ? b : a; }                           \
    inline T __hmin_nan(T a, T b) { return __hisnan(a) ? a : b < a || __hisnan(b) ? b : a; }                           \
    inline T __habs(T v) { return fabsf(v); }                                                                          \
    inline T hsqrt(T v) { return sqrtf(v); }                                                                           \
    inline T hexp(T v) { return expf(v); }                                                                             \
    inline T hlog(T v) { return logf(v); }                                                                             \
    inline T hsin(T v) { return sinf(v); }                                                                             \
    inline T hcos(T v) { return cosf(v); }
STAND_IN_SMALL(__nv_bfloat16)
struct __nv_bfloat162 {
    __nv_bfloat16 x, y;
};
#define STAND_IN_PAIR(name, op)                                                                                        \
    inline __nv_bfloat162 name(__nv_bfloat162 a, __nv_bfloat162 b) { return {a.x op b.x, a.y op b.y}; }
STAND_IN_PAIR(__hadd2, +)
STAND_IN_PAIR(__hsub2, -)
STAND_IN_PAIR(__hmul2, *)
STAND_IN_PAIR(__h2div, /)
STAND_IN_SMALL(__half)

template <typename T, typename F> T stand_in_exchange(T *at, F f) {
    using Bits = std::conditional_t<sizeof(T) == 2, uint16_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>>;
    Bits *bits = reinterpret_cast<Bits *>(at), old = __atomic_load_n(bits, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(bits, &old, stand_in_bits<Bits>(T(f(stand_in_bits<T>(old)))), false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return stand_in_bits<T>(old);
}
template <typename T, typename V> T atomicAdd(T *at, V given) {
    T v = T(given);
    return stand_in_exchange(at, [v](T old) { return T(old + v); });
}
template <typename T, typename V> T atomicMin(T *at, V given) {
    T v = T(given);
    return stand_in_exchange(at, [v](T old) { return v < old ? v : old; });
}
template <typename T, typename V> T atomicMax(T *at, V given) {
    T v = T(given);
    return stand_in_exchange(at, [v](T old) { return old < v ? v : old; });
}
template <typename T, typename V> T atomicCAS(T *at, V expected, V v) {
    return stand_in_exchange(at, [=](T old) { return old == T(expected) ? T(v) : old; });
}

// Calls a kernel with arguments at the given addresses, as the driver gets them.
template <typename... A> void stand_in_call(void (*kernel)(A...), void **args) {
    auto call = [&]<size_t... I>(std::index_sequence<I...>) {
        kernel(*static_cast<std::remove_cv_t<A> *>(args[I])...);
    };
    call(std::index_sequence_for<A...>{});
}
// The sizes of its arguments, ended by a zero.
template <typename... A> const size_t *stand_in_sizes(void (*)(A...)) {
    static const size_t sizes[] = {sizeof(A)..., 0};
    return sizes;
}
