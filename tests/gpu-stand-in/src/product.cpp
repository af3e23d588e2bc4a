// Products of matrices, for cuBLAS and for convolutions; numbers in memory.
#include "stand_in.h"
#include <algorithm>
#include <cstring>

namespace stand_in {

size_t bytes_of(Type type) { return type == Type::F64 ? 8 : type == Type::F32 ? 4 : 2; }

float load(const void *from, size_t at, Type type) {
    switch (type) {
    case Type::F32: return static_cast<const float *>(from)[at];
    case Type::F64: return float(static_cast<const double *>(from)[at]);
    default: {
        uint32_t bits = uint32_t(static_cast<const uint16_t *>(from)[at]) << 16;
        float value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    }
}

void store(void *to, size_t at, Type type, float value) {
    switch (type) {
    case Type::F32: static_cast<float *>(to)[at] = value; return;
    case Type::F64: static_cast<double *>(to)[at] = value; return;
    default: {
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        bits = value != value ? 0x7fff0000 : bits + 0x7fff + (bits >> 16 & 1);
        static_cast<uint16_t *>(to)[at] = uint16_t(bits >> 16);
    }
    }
}

// Four rows and `WIDE` columns at a time, which stay in registers.
template <typename T> static void rows(const T *b, const T *a, T *c, size_t rows, size_t inner, size_t columns) {
    constexpr size_t HIGH = 4, WIDE = 128 / sizeof(T);
    for (size_t left = 0; left < columns; left += WIDE) {
        size_t wide = std::min(WIDE, columns - left);
        for (size_t top = 0; top < rows; top += HIGH) {
            size_t high = std::min(HIGH, rows - top);
            T sum[HIGH][WIDE] = {};
            if (high == HIGH && wide == WIDE) {
                for (size_t k = 0; k < inner; k++)
                    for (size_t i = 0; i < HIGH; i++)
                        for (size_t j = 0; j < WIDE; j++)
                            sum[i][j] += b[(top + i) * inner + k] * a[k * columns + left + j];
            } else {
                for (size_t k = 0; k < inner; k++)
                    for (size_t i = 0; i < high; i++)
                        for (size_t j = 0; j < wide; j++)
                            sum[i][j] += b[(top + i) * inner + k] * a[k * columns + left + j];
            }
            for (size_t i = 0; i < high; i++)
                for (size_t j = 0; j < wide; j++) c[(top + i) * columns + left + j] += sum[i][j];
        }
    }
}

void multiply(const float *b, const float *a, float *c, size_t r, size_t inner, size_t columns) {
    rows(b, a, c, r, inner, columns);
}
void multiply(const double *b, const double *a, double *c, size_t r, size_t inner, size_t columns) {
    rows(b, a, c, r, inner, columns);
}

} // namespace stand_in
