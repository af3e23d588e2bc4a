// The device, its context, its attributes, and names of errors.
#include "stand_in.h"
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace stand_in {

std::recursive_mutex &whole() {
    static auto *mutex = new std::recursive_mutex; // outlives all threads
    return *mutex;
}

void wrong(const char *what, ...) {
    va_list args;
    va_start(args, what);
    fputs("GPU stand-in: ", stderr);
    vfprintf(stderr, what, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}

bool refused(const char *function) {
    static const char *given = getenv("STAND_IN_REFUSES");
    return given && !strcmp(given, function);
}

static int context; // its address is the handle
static thread_local void *current;

} // namespace stand_in
using namespace stand_in;

extern "C" {

int cuInit(unsigned) { return OK; }
int cuDriverGetVersion(int *version) { return *version = 13000, OK; }
int cuDeviceGetCount(int *count) { return *count = 1, OK; }
int cuDeviceGet(int *device, int ordinal) {
    *device = 0;
    return ordinal == 0 ? OK : INVALID_DEVICE;
}
int cuDeviceGetName(char *name, int length, int) {
    snprintf(name, length, "stand-in for a GPU");
    return OK;
}
int cuDeviceGetAttribute(int *value, int attribute, int) {
    switch (attribute) {
    case 75: *value = 8; break;   // compute capability, major
    case 76: *value = 0; break;   // minor
    case 115: *value = 1; break;  // has pools of memory
    case 16: *value = 8; break;   // multiprocessors
    case 1: *value = 1024; break; // threads of a block
    default: *value = 0;
    }
    return OK;
}
int cuDevicePrimaryCtxRetain(void **out, int) { return *out = &context, OK; }
int cuDevicePrimaryCtxRelease_v2(int) { return OK; }
int cuCtxGetCurrent(void **out) { return *out = current, OK; }
int cuCtxSetCurrent(void *given) { return current = given, OK; }
int cuCtxSynchronize() {
    WHOLE;
    if (int no = not_while_recording("cuCtxSynchronize")) return no;
    finish_all();
    return OK;
}

int cuGetErrorName(int error, const char **name) {
    switch (error) {
    case OK: *name = "CUDA_SUCCESS"; break;
    case INVALID_VALUE: *name = "CUDA_ERROR_INVALID_VALUE"; break;
    case OUT_OF_MEMORY: *name = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case INVALID_DEVICE: *name = "CUDA_ERROR_INVALID_DEVICE"; break;
    case INVALID_HANDLE: *name = "CUDA_ERROR_INVALID_HANDLE"; break;
    case NOT_FOUND: *name = "CUDA_ERROR_NOT_FOUND"; break;
    case NOT_READY: *name = "CUDA_ERROR_NOT_READY"; break;
    case CAPTURE_UNSUPPORTED: *name = "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"; break;
    case CAPTURE_INVALIDATED: *name = "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"; break;
    case CAPTURE_ISOLATION: *name = "CUDA_ERROR_STREAM_CAPTURE_ISOLATION"; break;
    default: *name = "CUDA_ERROR_UNKNOWN";
    }
    return OK;
}
int cuGetErrorString(int error, const char **text) {
    *text = error == OUT_OF_MEMORY ? "out of memory" : "the stand-in says no";
    return OK;
}
}

// What nothing here needs so far.
extern "C" void stand_in_missing(const char *name) { wrong("%s is not in the stand-in", name); }
