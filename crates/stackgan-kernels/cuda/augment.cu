// Translation and cutout of pictures (n, c, h, w), at places (n, 2): right, down.
#include "types.cuh"

struct Pixel {
    int64_t picture;
    int row, column;
    __device__ __forceinline__ Pixel(int64_t i, int channels, int height, int width)
        : picture(i / ((int64_t)channels * height * width)), row(i / width % height), column(i % width) {}
};

// A place, or one that is as far outside of every picture.
__device__ __forceinline__ int place(float at) { return (int)fminf(fmaxf(at, -1e9f), 1e9f); }

// What comes in is 0.
extern "C" __global__ void translate(
    const float *x, const float *shifts, float *y, int64_t count, int channels, int height, int width) {
    EVERY(i, count) {
        Pixel p(i, channels, height, width);
        int right = place(shifts[2 * p.picture]), down = place(shifts[2 * p.picture + 1]);
        int row = p.row - down, column = p.column - right;
        bool inside = row >= 0 && row < height && column >= 0 && column < width;
        y[i] = inside ? x[i - (int64_t)down * width - right] : 0.f;
    }
}

// A square of `side` pixels whose first is at `corners` is set to 0.
extern "C" __global__ void cut_out(
    const float *x, const float *corners, float *y, int64_t count, int channels, int height, int width, int side) {
    EVERY(i, count) {
        Pixel p(i, channels, height, width);
        int column = p.column - place(corners[2 * p.picture]), row = p.row - place(corners[2 * p.picture + 1]);
        bool gone = column >= 0 && column < side && row >= 0 && row < side;
        y[i] = gone ? 0.f : x[i];
    }
}
