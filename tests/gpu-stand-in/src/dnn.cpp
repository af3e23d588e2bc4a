// cuDNN's convolutions, as products of matrices, image by image.
#include "stand_in.h"
#include <algorithm>
#include <cstring>

namespace stand_in {

// Sizes and strides of (n, c, h, w) values, or of (out, in, kh, kw) weights.
struct Tensor {
    Type type;
    int size[4];
    size_t stride[4];
    size_t bytes() const { return size_t(size[0]) * size[1] * size[2] * size[3] * bytes_of(type); }
    size_t at(int n, int c, int h, int w) const {
        return n * stride[0] + c * stride[1] + h * stride[2] + w * stride[3];
    }
};
struct Convolution {
    int pad[2], stride[2], math = 0;
};
struct Dnn {
    void *stream = nullptr;
};

static Type type_of(int type) {
    switch (type) { // cudnnDataType_t
    case 0: return Type::F32;
    case 1: return Type::F64;
    case 9: return Type::BF16;
    default: wrong("a convolution of cuDNN's type %d", type);
    }
}

static void set(Tensor &t, int nhwc, int type, int n, int c, int h, int w) {
    t = {type_of(type), {n, c, h, w}, {size_t(c) * h * w, size_t(h) * w, size_t(w), 1}};
    if (nhwc) t.stride[1] = 1, t.stride[2] = size_t(w) * c, t.stride[3] = size_t(c);
}

struct Shapes {
    Tensor x, w, y;
    Convolution conv;
    size_t taps() const { return size_t(w.size[1]) * w.size[2] * w.size[3]; }
    size_t pixels() const { return size_t(y.size[2]) * y.size[3]; }

    // f(column, row, place in the image): each tap of each output pixel that lies in the image.
    template <typename F> void taps_of(F f) const {
        for (int oh = 0; oh < y.size[2]; oh++)
            for (int ow = 0; ow < y.size[3]; ow++)
                for (int c = 0; c < w.size[1]; c++)
                    for (int kh = 0; kh < w.size[2]; kh++)
                        for (int kw = 0; kw < w.size[3]; kw++) {
                            int h = oh * conv.stride[0] + kh - conv.pad[0], v = ow * conv.stride[1] + kw - conv.pad[1];
                            if (h < 0 || h >= x.size[2] || v < 0 || v >= x.size[3]) continue;
                            f(size_t(oh) * y.size[3] + ow, (size_t(c) * w.size[2] + kh) * w.size[3] + kw, c, h, v);
                        }
    }
    std::vector<float> unfolded(const void *from, int n) const {
        std::vector<float> columns(pixels() * taps());
        taps_of([&](size_t pixel, size_t tap, int c, int h, int v) {
            columns[pixel * taps() + tap] = load(from, x.at(n, c, h, v), x.type);
        });
        return columns;
    }
    // (out, taps), or turned.
    std::vector<float> weights(const void *from, bool turned) const {
        std::vector<float> all(w.size[0] * taps());
        for (int o = 0; o < w.size[0]; o++)
            for (int c = 0; c < w.size[1]; c++)
                for (int kh = 0; kh < w.size[2]; kh++)
                    for (int kw = 0; kw < w.size[3]; kw++) {
                        size_t tap = (size_t(c) * w.size[2] + kh) * w.size[3] + kw;
                        all[turned ? tap * w.size[0] + o : o * taps() + tap] = load(from, w.at(o, c, kh, kw), w.type);
                    }
        return all;
    }
    // (pixels, out) of an image, or turned.
    std::vector<float> outputs(const void *from, int n, bool turned) const {
        std::vector<float> all(pixels() * w.size[0]);
        for (int o = 0; o < w.size[0]; o++)
            for (size_t p = 0; p < pixels(); p++)
                all[turned ? o * pixels() + p : p * w.size[0] + o] =
                    load(from, y.at(n, o, int(p) / y.size[3], int(p) % y.size[3]), y.type);
        return all;
    }
};

static void forward(const Shapes &s, const void *x, const void *w, void *y) {
    auto weights = s.weights(w, true);
    for (int n = 0; n < s.x.size[0]; n++) {
        auto columns = s.unfolded(x, n);
        std::vector<float> out(s.pixels() * s.w.size[0]);
        multiply(columns.data(), weights.data(), out.data(), s.pixels(), s.taps(), s.w.size[0]);
        for (size_t p = 0; p < s.pixels(); p++)
            for (int o = 0; o < s.w.size[0]; o++)
                store(y, s.y.at(n, o, int(p) / s.y.size[3], int(p) % s.y.size[3]), s.y.type, out[p * s.w.size[0] + o]);
    }
}

static void to_input(const Shapes &s, const void *w, const void *dy, void *dx) {
    auto weights = s.weights(w, false);
    for (int n = 0; n < s.x.size[0]; n++) {
        auto out = s.outputs(dy, n, false);
        std::vector<float> columns(s.pixels() * s.taps());
        multiply(out.data(), weights.data(), columns.data(), s.pixels(), s.w.size[0], s.taps());
        size_t image = size_t(s.x.size[1]) * s.x.size[2] * s.x.size[3];
        std::vector<float> sum(image);
        auto at = [&](int c, int h, int v) { return (size_t(c) * s.x.size[2] + h) * s.x.size[3] + v; };
        s.taps_of([&](size_t pixel, size_t tap, int c, int h, int v) {
            sum[at(c, h, v)] += columns[pixel * s.taps() + tap];
        });
        for (int c = 0; c < s.x.size[1]; c++)
            for (int h = 0; h < s.x.size[2]; h++)
                for (int v = 0; v < s.x.size[3]; v++) store(dx, s.x.at(n, c, h, v), s.x.type, sum[at(c, h, v)]);
    }
}

static void to_weight(const Shapes &s, const void *x, const void *dy, void *dw) {
    std::vector<float> sum(s.w.size[0] * s.taps());
    for (int n = 0; n < s.x.size[0]; n++) {
        auto columns = s.unfolded(x, n);
        auto out = s.outputs(dy, n, true);
        multiply(out.data(), columns.data(), sum.data(), s.w.size[0], s.pixels(), s.taps());
    }
    for (int o = 0; o < s.w.size[0]; o++)
        for (int c = 0; c < s.w.size[1]; c++)
            for (int kh = 0; kh < s.w.size[2]; kh++)
                for (int kw = 0; kw < s.w.size[3]; kw++)
                    store(dw, s.w.at(o, c, kh, kw), s.w.type,
                          sum[o * s.taps() + (size_t(c) * s.w.size[2] + kh) * s.w.size[3] + kw]);
}

// An algorithm as cuDNN tells of it. The room that it asks for is written to.
struct Told {
    int algorithm, status;
    float time;
    size_t room;
    int same_every_time, math, reserved[3];
};
constexpr size_t ROOM = 4096;
constexpr int FASTEST = 2, OTHER = 1;
constexpr int NOT_SUPPORTED = 3000; // of cudnnStatus_t
static int tell(void *conv, int *count, Told *told) {
    *count = 0;
    for (int algorithm : {FASTEST, OTHER})
        told[(*count)++] = {algorithm, OK, 1.f, ROOM, 1, static_cast<Convolution *>(conv)->math, {}};
    return OK;
}

struct Given {
    const void *x, *w, *y;
};

static int run(void *handle, void *x, void *w, void *y, void *conv, int how, void *space, size_t room,
               const void *alpha, const void *beta, Given given, std::function<void(const Shapes &)> work) {
    WHOLE;
    if (how == FASTEST && refused("cudnnConvolution")) return NOT_SUPPORTED;
    if (*static_cast<const float *>(alpha) != 1 || *static_cast<const float *>(beta) != 0)
        wrong("a convolution with factors");
    if (room < ROOM) wrong("a convolution without the room that its algorithm asked for");
    Shapes s{*static_cast<Tensor *>(x), *static_cast<Tensor *>(w), *static_cast<Tensor *>(y),
             *static_cast<Convolution *>(conv)};
    for (int i = 0; i < 2; i++)
        if (s.y.size[2 + i] != (s.x.size[2 + i] + 2 * s.conv.pad[i] - s.w.size[2 + i]) / s.conv.stride[i] + 1)
            wrong("a convolution whose result has another size");
    if (s.x.size[1] != s.w.size[1] || s.y.size[1] != s.w.size[0] || s.x.size[0] != s.y.size[0])
        wrong("a convolution whose sizes do not fit");
    return queue(of(static_cast<Dnn *>(handle)->stream), [=] {
        within(given.x, s.x.bytes());
        within(given.w, s.w.bytes());
        within(given.y, s.y.bytes());
        within(space, room);
        memset(space, 0, room);
        work(s);
    });
}

} // namespace stand_in
using namespace stand_in;

extern "C" {

size_t cudnnGetVersion() { return 91000; }
int cudnnCreate(void **handle) { return *handle = new Dnn, OK; }
int cudnnDestroy(void *handle) { return delete static_cast<Dnn *>(handle), OK; }
int cudnnSetStream(void *handle, void *stream) { return static_cast<Dnn *>(handle)->stream = stream, OK; }

int cudnnCreateTensorDescriptor(void **t) { return *t = new Tensor, OK; }
int cudnnCreateFilterDescriptor(void **t) { return *t = new Tensor, OK; }
int cudnnCreateConvolutionDescriptor(void **c) { return *c = new Convolution, OK; }
int cudnnDestroyTensorDescriptor(void *t) { return delete static_cast<Tensor *>(t), OK; }
int cudnnDestroyFilterDescriptor(void *t) { return delete static_cast<Tensor *>(t), OK; }
int cudnnDestroyConvolutionDescriptor(void *c) { return delete static_cast<Convolution *>(c), OK; }

int cudnnSetTensor4dDescriptor(void *t, int format, int type, int n, int c, int h, int w) {
    return set(*static_cast<Tensor *>(t), format, type, n, c, h, w), OK;
}
int cudnnSetTensor4dDescriptorEx(void *t, int type, int n, int c, int h, int w, int sn, int sc, int sh, int sw) {
    *static_cast<Tensor *>(t) = {type_of(type), {n, c, h, w}, {size_t(sn), size_t(sc), size_t(sh), size_t(sw)}};
    return OK;
}
int cudnnSetFilter4dDescriptor(void *t, int type, int format, int o, int i, int h, int w) {
    return set(*static_cast<Tensor *>(t), format, type, o, i, h, w), OK;
}
int cudnnSetConvolution2dDescriptor(void *c, int ph, int pw, int sh, int sw, int dh, int dw, int mode, int) {
    if (dh != 1 || dw != 1 || mode != 1) wrong("a convolution with gaps, or turned");
    *static_cast<Convolution *>(c) = {{ph, pw}, {sh, sw}};
    return OK;
}
int cudnnSetConvolutionMathType(void *c, int math) { return static_cast<Convolution *>(c)->math = math, OK; }
int cudnnSetConvolutionGroupCount(void *, int groups) {
    return groups == 1 ? OK : (wrong("a convolution in groups"), 1);
}

int cudnnGetConvolutionForwardAlgorithm_v7(void *, void *, void *, void *conv, void *, int, int *count, Told *told) {
    return tell(conv, count, told);
}
int cudnnGetConvolutionBackwardDataAlgorithm_v7(void *, void *, void *, void *conv, void *, int, int *count,
                                                Told *told) {
    return tell(conv, count, told);
}
int cudnnGetConvolutionBackwardFilterAlgorithm_v7(void *, void *, void *, void *conv, void *, int, int *count,
                                                  Told *told) {
    return tell(conv, count, told);
}
int cudnnGetConvolutionForwardWorkspaceSize(void *, void *, void *, void *, void *, int, size_t *bytes) {
    return *bytes = ROOM, OK;
}

int cudnnConvolutionForward(void *handle, const void *alpha, void *xd, const void *x, void *wd, const void *w,
                            void *conv, int how, void *space, size_t room, const void *beta, void *yd, void *y) {
    return run(handle, xd, wd, yd, conv, how, space, room, alpha, beta, {x, w, y},
               [=](const Shapes &s) { forward(s, x, w, y); });
}
int cudnnConvolutionBackwardData(void *handle, const void *alpha, void *wd, const void *w, void *dyd, const void *dy,
                                 void *conv, int how, void *space, size_t room, const void *beta, void *dxd, void *dx) {
    return run(handle, dxd, wd, dyd, conv, how, space, room, alpha, beta, {dx, w, dy},
               [=](const Shapes &s) { to_input(s, w, dy, dx); });
}
int cudnnConvolutionBackwardFilter(void *handle, const void *alpha, void *xd, const void *x, void *dyd, const void *dy,
                                   void *conv, int how, void *space, size_t room, const void *beta, void *dwd,
                                   void *dw) {
    return run(handle, xd, dwd, dyd, conv, how, space, room, alpha, beta, {x, dw, dy},
               [=](const Shapes &s) { to_weight(s, x, dy, dw); });
}
}
