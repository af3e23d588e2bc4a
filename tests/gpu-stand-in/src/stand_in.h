// A GPU that is a CPU. What the parts share: streams that take work, memory, errors.
//
// Work is done as late as the rules of CUDA allow: when the host waits for it. So a program that reads too early, frees
// too early or writes over what is still to be sent gets wrong values, as it might on a GPU, but every time.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

namespace stand_in {

// Results of the driver.
enum : int {
    OK = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    INVALID_DEVICE = 101,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    CAPTURE_ISOLATION = 905,
};

using Work = std::function<void()>;

// One for the whole device: every function of the driver holds it.
std::recursive_mutex &whole();
#define WHOLE std::lock_guard<std::recursive_mutex> held_(stand_in::whole())

// Stops the program, with what is wrong with it.
[[noreturn]] void wrong(const char *what, ...) __attribute__((format(printf, 1, 2)));

// Whether the function is the one that shall find no memory: `STAND_IN_REFUSES` in the environment.
bool refused(const char *function);

// --- streams.cpp, graphs.cpp

struct Graph;
struct Stream {
    std::vector<Work> waiting;
    uint64_t done = 0;      // how much work was done, ever
    size_t next = 0;        // of `waiting`
    Graph *graph = nullptr; // what is being recorded
    bool recording_ended_badly = false;
    uint64_t last() const { return done + (waiting.size() - next); }
};

// The stream of a handle; a null handle names the default one.
Stream &of(void *handle);
// Queues work or records it.
int queue(Stream &stream, Work work);
// Does the work of a stream that was queued before `until`.
void finish(Stream &stream, uint64_t until);
void finish_all();
// An error if the calling thread records: what it calls may not be called then.
int not_while_recording(const char *what);
// As `not_while_recording`, for a stream that records.
int not_recorded(Stream &stream, const char *what);

// Memory that is allocated while a stream records is of the graph, at the same place in every launch.
char *take_recorded(Stream &stream, size_t bytes);
int give_back_recorded(Stream &stream, char *at);
bool is_of_graph(char *at);

// --- memory.cpp

// New memory, full of NaN; its end; and NaN once more.
char *take(size_t bytes);
void give_back(char *at);
void spoil(char *at);
// Stops the program unless these bytes lie in one allocation.
void within(const void *at, size_t bytes);
// Whether there is room for graphs that need so much at once.
bool reserve_for_graphs(size_t bytes);

// --- product.cpp

// c[rows][columns] += b[rows][inner] a[inner][columns], each c in one order of sums.
void multiply(const float *b, const float *a, float *c, size_t rows, size_t inner, size_t columns);
void multiply(const double *b, const double *a, double *c, size_t rows, size_t inner, size_t columns);

// Types of numbers in memory, read to f32 and written from it.
enum class Type { F32, F64, BF16 };
size_t bytes_of(Type type);
float load(const void *from, size_t at, Type type);
void store(void *to, size_t at, Type type, float value);

} // namespace stand_in
