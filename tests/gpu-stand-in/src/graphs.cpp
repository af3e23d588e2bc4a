// Recorded work: what is queued to a stream that records is kept, and done only when the graph is launched.
#include "stand_in.h"
#include <algorithm>
#include <cstdio>
#include <map>
#include <thread>

namespace stand_in {

struct Graph {
    Stream *stream;
    std::thread::id thread;
    std::vector<Work> nodes;
    std::map<char *, size_t> memory; // all that it allocates
    size_t now = 0, most = 0;        // bytes at once
    int users = 1;                   // the graph, what can be launched of it, and each launch
    bool launched = false;
};

static std::map<std::thread::id, Graph *> recording;

static void release(Graph *graph) {
    if (--graph->users) return;
    for (auto &[at, bytes] : graph->memory) give_back(at);
    delete graph;
}

int queue(Stream &stream, Work work) {
    if (stream.recording_ended_badly) return CAPTURE_INVALIDATED;
    if (stream.graph)
        stream.graph->nodes.push_back(std::move(work));
    else
        stream.waiting.push_back(std::move(work));
    return OK;
}

static int no(Stream &stream, const char *what) {
    fprintf(stderr, "GPU stand-in: %s cannot be recorded\n", what);
    stream.recording_ended_badly = true;
    return CAPTURE_UNSUPPORTED;
}
int not_recorded(Stream &stream, const char *what) { return stream.graph ? no(stream, what) : OK; }
int not_while_recording(const char *what) {
    auto found = recording.find(std::this_thread::get_id());
    return found == recording.end() ? OK : no(*found->second->stream, what);
}

// Memory that is allocated while a stream records is of the graph, at the same place in every launch.
char *take_recorded(Stream &stream, size_t bytes) {
    Graph &graph = *stream.graph;
    char *at = take(bytes);
    if (!at) return nullptr;
    graph.memory[at] = bytes;
    graph.most = std::max(graph.most, graph.now += bytes);
    graph.nodes.push_back([at] { spoil(at); });
    return at;
}
int give_back_recorded(Stream &stream, char *at) {
    Graph &graph = *stream.graph;
    auto found = graph.memory.find(at);
    if (found == graph.memory.end()) return no(stream, "the end of memory that was not allocated in the recording");
    graph.now -= found->second;
    graph.nodes.push_back([at] { spoil(at); });
    return OK;
}

static std::vector<Graph *> launchable;

bool is_of_graph(char *at) {
    return std::any_of(launchable.begin(), launchable.end(), [at](Graph *graph) { return graph->memory.count(at); });
}

} // namespace stand_in
using namespace stand_in;

extern "C" {

int cuStreamBeginCapture_v2(void *handle, int) {
    WHOLE;
    Stream &stream = of(handle);
    if (stream.graph || recording.count(std::this_thread::get_id())) return INVALID_VALUE;
    stream.graph = recording[std::this_thread::get_id()] = new Graph{&stream, std::this_thread::get_id(), {}, {}};
    return OK;
}
int cuStreamEndCapture(void *handle, void **out) {
    WHOLE;
    Stream &stream = of(handle);
    *out = nullptr;
    if (!stream.graph) return INVALID_VALUE;
    Graph *graph = stream.graph;
    recording.erase(graph->thread);
    stream.graph = nullptr;
    if (stream.recording_ended_badly) {
        stream.recording_ended_badly = false;
        release(graph);
        return CAPTURE_INVALIDATED;
    }
    *out = graph;
    return OK;
}
int cuStreamIsCapturing(void *handle, int *status) {
    WHOLE;
    Stream &stream = of(handle);
    *status = !stream.graph ? 0 : stream.recording_ended_badly ? 2 : 1;
    return OK;
}
int cuGraphInstantiateWithFlags(void **out, void *graph, uint64_t) {
    WHOLE;
    if (refused("cuGraphInstantiate")) return OUT_OF_MEMORY;
    static_cast<Graph *>(graph)->users++;
    launchable.push_back(static_cast<Graph *>(*out = graph));
    return OK;
}
int cuGraphExecDestroy(void *graph) {
    WHOLE;
    launchable.erase(std::find(launchable.begin(), launchable.end(), graph));
    finish_all();
    release(static_cast<Graph *>(graph));
    return OK;
}
int cuGraphDestroy(void *graph) {
    WHOLE;
    release(static_cast<Graph *>(graph));
    return OK;
}
int cuGraphLaunch(void *given, void *handle) {
    WHOLE;
    Stream &stream = of(handle);
    auto *graph = static_cast<Graph *>(given);
    if (int no = not_recorded(stream, "cuGraphLaunch")) return no;
    if (refused("cuGraphLaunch") || !reserve_for_graphs(graph->most)) return OUT_OF_MEMORY;
    graph->launched = true;
    graph->users++;
    return queue(stream, [graph] {
        for (Work &node : graph->nodes) node();
        release(graph);
    });
}
int cuDeviceGraphMemTrim(int) {
    WHOLE;
    bool used = std::any_of(launchable.begin(), launchable.end(), [](Graph *graph) { return graph->launched; });
    if (!used) reserve_for_graphs(0);
    return OK;
}
}
