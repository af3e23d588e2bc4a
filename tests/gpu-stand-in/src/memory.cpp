// Memory of the device and of the host, copies. New memory and freed memory is NaN, and so is what lies beside an allocation;
// what is written there stops the program.
#include "stand_in.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>

namespace stand_in {

constexpr size_t BESIDE = 64;
constexpr unsigned char NAN_BYTE = 0xff;

static std::map<char *, size_t> allocated, pinned;

// Bytes: of the device; of the pool's allocations and what the pool holds for them; of graphs; of all others, which are of other
// programs too if `STAND_IN_FREE` says so.
constexpr size_t TOTAL = size_t(16) << 30;
static size_t in_pool, held_by_pool, held_by_graphs;
static size_t beside_pool = [] {
    const char *free = getenv("STAND_IN_FREE");
    return free ? TOTAL - std::min<size_t>(TOTAL, strtoull(free, nullptr, 10)) : 0;
}();
static size_t left() { return TOTAL - held_by_pool - held_by_graphs - beside_pool; }

char *take(size_t bytes) {
    size_t whole = (bytes + 255) / 256 * 256;
    auto *block = static_cast<char *>(aligned_alloc(256, whole + 512));
    if (!block) return nullptr;
    memset(block, NAN_BYTE, whole + 512);
    char *at = block + 256;
    allocated[at] = bytes;
    return at;
}

static size_t size_of(char *at) {
    auto found = allocated.find(at);
    if (found == allocated.end()) wrong("%p is not allocated, or was freed before", static_cast<void *>(at));
    return found->second;
}

static void check(char *at, size_t bytes) {
    for (size_t i = 0; i < BESIDE; i++)
        if ((unsigned char)at[bytes + i] != NAN_BYTE || (unsigned char)at[-1 - long(i)] != NAN_BYTE)
            wrong("something was written beside an allocation of %zu bytes", bytes);
}

void spoil(char *at) {
    size_t bytes = size_of(at);
    check(at, bytes);
    memset(at, NAN_BYTE, bytes);
}

void give_back(char *at) {
    check(at, size_of(at));
    allocated.erase(at);
    free(at - 256);
}

bool reserve_for_graphs(size_t bytes) {
    if (bytes > held_by_graphs && bytes - held_by_graphs > left()) return false;
    if (bytes > held_by_graphs || bytes == 0) held_by_graphs = bytes;
    return true;
}

// Whether the memory that a copy touches is allocated.
static void within(char *at, size_t bytes) {
    auto after = allocated.upper_bound(at);
    if (bytes && (after == allocated.begin() || at + bytes > std::prev(after)->first + std::prev(after)->second))
        wrong("a copy of %zu bytes leaves the device's memory", bytes);
}

static bool is_pinned(const void *at) {
    auto after = pinned.upper_bound(static_cast<char *>(const_cast<void *>(at)));
    return after != pinned.begin() && at < std::prev(after)->first + std::prev(after)->second;
}

} // namespace stand_in
using namespace stand_in;

extern "C" {

int cuDeviceTotalMem_v2(size_t *bytes, int) { return *bytes = TOTAL, OK; }
int cuMemGetInfo_v2(size_t *free, size_t *all) {
    WHOLE;
    *free = left();
    *all = TOTAL;
    return OK;
}
int cuDeviceGetDefaultMemPool(void **pool, int) { return *pool = &in_pool, OK; }
int cuMemPoolSetAttribute(void *, int, void *) { return OK; }
int cuMemPoolTrimTo(void *, size_t) {
    WHOLE;
    if (int no = not_while_recording("cuMemPoolTrimTo")) return no;
    held_by_pool = in_pool;
    return OK;
}

int cuMemAllocAsync(char **at, size_t bytes, void *handle) {
    WHOLE;
    Stream &stream = of(handle);
    if (stream.recording_ended_badly) return CAPTURE_INVALIDATED;
    if (stream.graph) return (*at = take_recorded(stream, bytes)) ? OK : OUT_OF_MEMORY;
    size_t held = std::max(held_by_pool, in_pool + bytes);
    if (held - held_by_pool > left()) return OUT_OF_MEMORY;
    if (!(*at = take(bytes))) return OUT_OF_MEMORY;
    held_by_pool = held;
    in_pool += bytes;
    return OK;
}
int cuMemFreeAsync(char *at, void *handle) {
    WHOLE;
    Stream &stream = of(handle);
    if (stream.recording_ended_badly) return CAPTURE_INVALIDATED;
    if (stream.graph) return give_back_recorded(stream, at);
    if (is_of_graph(at)) return queue(stream, [at] { spoil(at); });
    in_pool -= size_of(at);
    return queue(stream, [at] { give_back(at); });
}
int cuMemAlloc_v2(char **at, size_t bytes) {
    WHOLE;
    if (int no = not_while_recording("cuMemAlloc")) return no;
    if (bytes > left() || !(*at = take(bytes))) return OUT_OF_MEMORY;
    beside_pool += bytes;
    return OK;
}
int cuMemFree_v2(char *at) {
    WHOLE;
    if (int no = not_while_recording("cuMemFree")) return no;
    finish_all();
    beside_pool -= size_of(at);
    give_back(at);
    return OK;
}
int cuMemHostAlloc(void **at, size_t bytes, unsigned) {
    WHOLE;
    if (int no = not_while_recording("cuMemHostAlloc")) return no;
    *at = malloc(bytes);
    memset(*at, NAN_BYTE, bytes);
    pinned[static_cast<char *>(*at)] = bytes;
    return OK;
}
int cuMemFreeHost(void *at) {
    WHOLE;
    if (int no = not_while_recording("cuMemFreeHost")) return no;
    finish_all();
    pinned.erase(static_cast<char *>(at));
    free(at);
    return OK;
}

int cuMemcpyHtoDAsync_v2(char *to, const void *from, size_t bytes, void *handle) {
    WHOLE;
    Stream &stream = of(handle);
    if (int no = not_recorded(stream, "a copy from the host")) return no;
    within(to, bytes);
    if (is_pinned(from)) return queue(stream, [=] { memcpy(to, from, bytes); });
    auto *copy = static_cast<const char *>(from);
    auto now = std::make_shared<std::vector<char>>(copy, copy + bytes);
    return queue(stream, [=] { memcpy(to, now->data(), bytes); });
}
int cuMemcpyDtoHAsync_v2(void *to, char *from, size_t bytes, void *handle) {
    WHOLE;
    Stream &stream = of(handle);
    if (int no = not_recorded(stream, "a copy to the host")) return no;
    within(from, bytes);
    queue(stream, [=] { memcpy(to, from, bytes); });
    if (!is_pinned(to)) finish(stream, stream.last());
    return OK;
}
int cuMemcpyDtoDAsync_v2(char *to, char *from, size_t bytes, void *handle) {
    WHOLE;
    within(to, bytes);
    within(from, bytes);
    return queue(of(handle), [=] { memmove(to, from, bytes); });
}
int cuMemsetD8Async(char *to, unsigned char value, size_t bytes, void *handle) {
    WHOLE;
    within(to, bytes);
    return queue(of(handle), [=] { memset(to, value, bytes); });
}
}
