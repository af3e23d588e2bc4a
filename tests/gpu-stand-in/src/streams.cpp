// Streams and events. A stream's work waits until the host asks for it, or another stream's work that was asked for
// does.
#include "stand_in.h"
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <thread>

namespace stand_in {

static std::set<Stream *> &streams() {
    static auto *all = new std::set<Stream *>{new Stream}; // the default one
    return *all;
}

Stream &of(void *handle) {
    static Stream *usual = *streams().begin();
    static std::map<std::thread::id, Stream *> own;
    if (!handle || handle == (void *)1) return *usual;
    if (handle == (void *)2) { // of each thread
        Stream *&mine = own[std::this_thread::get_id()];
        if (!mine) streams().insert(mine = new Stream);
        return *mine;
    }
    auto *stream = static_cast<Stream *>(handle);
    if (!streams().count(stream)) wrong("work for a stream that does not exist");
    return *stream;
}

void finish(Stream &stream, uint64_t until) {
    while (stream.done < until && stream.next < stream.waiting.size()) {
        Work work = std::move(stream.waiting[stream.next++]);
        stream.done++;
        work();
    }
    if (stream.next == stream.waiting.size()) {
        stream.waiting.clear();
        stream.next = 0;
    }
}

void finish_all() {
    for (Stream *stream : std::set<Stream *>(streams())) finish(*stream, stream->last());
}

struct Moment {
    Stream *stream = nullptr; // null: never recorded
    uint64_t until = 0;
    std::chrono::steady_clock::time_point time;
};
struct Event {
    std::shared_ptr<Moment> moment = std::make_shared<Moment>();
};

static void reach(const Moment &moment) {
    if (moment.stream && streams().count(moment.stream)) finish(*moment.stream, moment.until);
}

} // namespace stand_in
using namespace stand_in;

extern "C" {

int cuStreamCreate(void **out, unsigned) {
    WHOLE;
    streams().insert(static_cast<Stream *>(*out = new Stream));
    return OK;
}
int cuStreamDestroy_v2(void *handle) {
    WHOLE;
    Stream &stream = of(handle);
    finish(stream, stream.last());
    streams().erase(&stream);
    delete &stream;
    return OK;
}
int cuStreamSynchronize(void *handle) {
    WHOLE;
    Stream &stream = of(handle);
    if (int no = not_recorded(stream, "cuStreamSynchronize")) return no;
    finish(stream, stream.last());
    return OK;
}

int cuEventCreate(void **out, unsigned) { return *out = new Event, OK; }
int cuEventDestroy_v2(void *event) {
    WHOLE;
    delete static_cast<Event *>(event);
    return OK;
}
int cuEventRecord(void *event, void *handle) {
    WHOLE;
    Stream &stream = of(handle);
    if (int no = not_recorded(stream, "cuEventRecord")) return no;
    auto moment = std::make_shared<Moment>();
    queue(stream, [moment] { moment->time = std::chrono::steady_clock::now(); });
    moment->stream = &stream;
    moment->until = stream.last();
    static_cast<Event *>(event)->moment = moment;
    return OK;
}
int cuStreamWaitEvent(void *handle, void *event, unsigned) {
    WHOLE;
    Stream &stream = of(handle);
    auto moment = static_cast<Event *>(event)->moment;
    if (!moment->stream) return OK;
    if (int no = not_recorded(stream, "cuStreamWaitEvent")) return no;
    return queue(stream, [moment] { reach(*moment); });
}
int cuEventSynchronize(void *event) {
    WHOLE;
    if (int no = not_while_recording("cuEventSynchronize")) return no;
    reach(*static_cast<Event *>(event)->moment);
    return OK;
}
int cuEventQuery(void *event) {
    WHOLE;
    auto &moment = *static_cast<Event *>(event)->moment;
    if (!moment.stream || moment.stream->done >= moment.until) return OK;
    finish(*moment.stream, moment.stream->done + 1); // or somebody who asks again and again waits for ever
    return NOT_READY;
}
int cuEventElapsedTime_v2(float *milliseconds, void *from, void *to) {
    WHOLE;
    auto &a = *static_cast<Event *>(from)->moment, &b = *static_cast<Event *>(to)->moment;
    if (!a.stream || !b.stream) return INVALID_HANDLE;
    if (a.stream->done < a.until || b.stream->done < b.until) return NOT_READY;
    *milliseconds = std::chrono::duration<float, std::milli>(b.time - a.time).count();
    return OK;
}
int cuEventElapsedTime(float *milliseconds, void *from, void *to) {
    return cuEventElapsedTime_v2(milliseconds, from, to);
}
}
