// Memory of the device and of the host, copies. New memory and freed memory is NaN, and so is what lies beside an
// allocation; what is written there stops the program.
#include "stand_in.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>

namespace stand_in {

constexpr size_t BESIDE = 64;
constexpr unsigned char NAN_BYTE = 0xff;

static std::map<char *, size_t> allocated, pinned;
static std::vector<void *> kept; // pinned memory that was freed: copies may still read it

// Bytes: of the device; of the pool's allocations and what the pool holds for them; of graphs; of all others, which are
// of other programs too if `STAND_IN_FREE` says so.
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

// Freed memory is kept for a while, to see whether somebody writes there.
static std::deque<std::pair<char *, size_t>> freed;
static size_t freed_bytes;
constexpr size_t KEPT = size_t(256) << 20;

void give_back(char *at) {
    size_t bytes = size_of(at);
    spoil(at);
    allocated.erase(at);
    freed.emplace_back(at, bytes);
    for (freed_bytes += bytes; freed_bytes > KEPT; freed.pop_front()) {
        auto [old, size] = freed.front();
        for (size_t i = 0; i < size; i++)
            if ((unsigned char)old[i] != NAN_BYTE) wrong("memory was written after it was freed: %zu bytes", size);
        check(old, size);
        free(old - 256);
        freed_bytes -= size;
    }
}

bool reserve_for_graphs(size_t bytes) {
    if (bytes > held_by_graphs && bytes - held_by_graphs > left()) return false;
    if (bytes > held_by_graphs || bytes == 0) held_by_graphs = bytes;
    return true;
}

void within(const void *at, size_t bytes) {
    auto *from = static_cast<char *>(const_cast<void *>(at));
    auto after = allocated.upper_bound(from);
    if (bytes && (after == allocated.begin() || from + bytes > std::prev(after)->first + std::prev(after)->second))
        wrong("%zu bytes are not, or no longer, in one allocation", bytes);
}

// Whether a copy from a pinned buffer is done at once: for some time all are, then for some time none is before it
// must.
static bool at_once() {
    static unsigned left = 0, random = 1;
    static bool now = true;
    if (!left) {
        random = random * 1664525 + 1013904223;
        left = 8 + random / 65536 % 8;
        now = !now;
    }
    left--;
    return now;
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
    auto found = pinned.find(static_cast<char *>(at));
    if (found == pinned.end()) return INVALID_VALUE;
    memset(at, NAN_BYTE, found->second); // a copy that is still to be made finds this
    pinned.erase(found);
    kept.push_back(at);
    return OK;
}

int cuMemcpyHtoDAsync_v2(char *to, const void *from, size_t bytes, void *handle) {
    WHOLE;
    Stream &stream = of(handle);
    if (int no = not_recorded(stream, "a copy from the host")) return no;
    within(to, bytes);
    if (is_pinned(from)) {
        int queued = queue(stream, [=] { memcpy(to, from, bytes); });
        if (at_once()) finish(stream, stream.last());
        return queued;
    }
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
    return queue(of(handle), [=] {
        within(to, bytes);
        within(from, bytes);
        memmove(to, from, bytes);
    });
}
int cuMemsetD8Async(char *to, unsigned char value, size_t bytes, void *handle) {
    WHOLE;
    within(to, bytes);
    return queue(of(handle), [=] { memset(to, value, bytes); });
}
}
