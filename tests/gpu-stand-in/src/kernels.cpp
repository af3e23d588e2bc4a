// Modules of kernels, and their launches: each thread of a block runs until it waits for the others.
#include "../include/kernel.h"
#include "stand_in.h"
#include <cstdio>
#include <dlfcn.h>
#include <memory>
#include <string>
#include <sys/mman.h>

#ifndef __x86_64__
#error "the threads of a block change places with instructions of x86-64"
#endif

Place stand_in_place;

// Keeps what a function must keep, goes over to another stack, and takes it from there.
extern "C" void stand_in_switch(void **leave, void *enter);
asm(R"(
.globl stand_in_switch
.type stand_in_switch, @function
stand_in_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
)");

namespace stand_in {

using Call = void (*)(void **);
struct Kernel {
    std::string name;
    Call call;
    const size_t *sizes;
};

enum class State { NotBegun, Runs, AtWarp, AtBlock, Ended };

// A block of threads. Each has a stack of its own only if it waits. One block runs at a time.
class Block {
    static constexpr size_t STACK = 128 << 10;
    std::vector<void *> free_stacks;
    std::vector<State> state;
    std::vector<void *> stack; // of each thread that waits
    std::vector<uint64_t> exchange;
    std::vector<char> shared;
    const Kernel *kernel = nullptr;
    void **args = nullptr;
    void *scheduler = nullptr;
    size_t begun = 0, now = 0;

    void place(size_t i) {
        Place &p = stand_in_place;
        now = i;
        p.thread = {unsigned(i % p.threads.x), unsigned(i / p.threads.x % p.threads.y),
                    unsigned(i / p.threads.x / p.threads.y)};
    }

    // The life of a stack: it begins threads until one of them waits and later ends.
    static void life() {
        Block &block = only();
        for (;;) {
            while (block.begun < block.state.size()) {
                size_t mine = block.begun++;
                block.place(mine);
                block.state[mine] = State::Runs;
                block.kernel->call(block.args);
                block.state[mine] = State::Ended;
                if (block.stack[mine]) break; // it has waited: now it is the scheduler's turn
            }
            void *me;
            block.returned = &me;
            stand_in_switch(&me, block.scheduler);
        }
    }
    void **returned = nullptr;

    void *new_stack() {
        if (!free_stacks.empty()) {
            void *top = free_stacks.back();
            free_stacks.pop_back();
            return top;
        }
        auto *base = static_cast<char *>(
            mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0));
        auto **top = reinterpret_cast<void **>(base + STACK - 64);
        *--top = nullptr; // where `life` would return to; it never does
        *--top = reinterpret_cast<void *>(&life);
        return top - 6;
    }

    // Runs on a stack until it comes back, because a thread waits or because there is no more to do on this stack.
    void run_on(void *top) {
        returned = nullptr;
        stand_in_switch(&scheduler, top);
        if (returned) free_stacks.push_back(*returned);
    }

    void go_on(size_t i) {
        place(i);
        state[i] = State::Runs;
        run_on(stack[i]);
    }

  public:
    static Block &only() {
        static auto *block = new Block; // its stacks stay
        return *block;
    }

    void run(const Kernel &k, void **given, size_t bytes) {
        kernel = &k;
        args = given;
        Place &p = stand_in_place;
        size_t threads = size_t(p.threads.x) * p.threads.y * p.threads.z;
        state.assign(threads, State::NotBegun);
        stack.assign(threads, nullptr);
        exchange.assign(2 * threads, 0);
        shared.assign(bytes + 16, char(0xff));
        p.shared = reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(shared.data()) + 15) / 16 * 16);
        begun = 0;
        while (begun < threads) run_on(new_stack());
        for (;;) {
            size_t ended = 0, at_block = 0;
            bool moved = false;
            for (size_t first = 0; first < threads; first += 32) {
                size_t last = std::min(first + 32, threads), waits = 0, gone = 0;
                for (size_t i = first; i < last; i++) {
                    waits += state[i] == State::AtWarp;
                    gone += state[i] == State::Ended;
                    at_block += state[i] == State::AtBlock;
                }
                ended += gone;
                if (!waits || waits + gone < last - first) continue;
                for (size_t i = first; i < last; i++)
                    if (state[i] == State::AtWarp) go_on(i);
                moved = true;
            }
            if (moved) continue;
            if (ended == threads) return;
            if (ended + at_block < threads)
                wrong("%s: some threads of a block wait where others never come", k.name.c_str());
            if (ended) wrong("%s: a thread ended while others of its block wait for it", k.name.c_str());
            for (size_t i = 0; i < threads; i++) go_on(i);
        }
    }

    void wait(State at) {
        size_t mine = now;
        state[mine] = at;
        stand_in_switch(&stack[mine], scheduler);
    }

    // Two places for each thread, in turns: nobody writes to one again before all have read it.
    uint64_t swap(uint64_t value, unsigned lane) {
        size_t mine = now, warp = mine / 32 * 32;
        turn.resize(std::max(turn.size(), state.size()));
        size_t half = (turn[mine] ^= 1) * state.size();
        exchange[half + mine] = value;
        wait(State::AtWarp);
        return exchange[half + warp + lane % 32];
    }
    unsigned lane() const { return now % 32; }

  private:
    std::vector<char> turn;
};

static void launch(const Kernel &kernel, Three blocks, Three threads, size_t shared,
                   std::vector<std::vector<char>> values) {
    std::vector<void *> args;
    for (auto &value : values) args.push_back(value.data());
    stand_in_place.threads = threads;
    stand_in_place.blocks = blocks;
    size_t count = size_t(blocks.x) * blocks.y * blocks.z;
    for (size_t i = 0; i < count; i++) {
        stand_in_place.block = {unsigned(i % blocks.x), unsigned(i / blocks.x % blocks.y),
                                unsigned(i / blocks.x / blocks.y)};
        Block::only().run(kernel, args.data(), shared);
    }
}

} // namespace stand_in
using namespace stand_in;

extern "C" {

void stand_in_block_barrier() { Block::only().wait(State::AtBlock); }
void stand_in_warp_barrier() { Block::only().wait(State::AtWarp); }
uint64_t stand_in_shuffle(uint64_t mine, unsigned lane) { return Block::only().swap(mine, lane); }
unsigned stand_in_lane() { return Block::only().lane(); }

// The text is what the stand-in of `nvcc` wrote.
int cuModuleLoadData(void **module, const char *text) {
    WHOLE;
    if (int no = not_while_recording("cuModuleLoadData")) return no;
    std::string path(text);
    path.erase(path.find_last_not_of('\n') + 1);
    *module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!*module) wrong("%s", dlerror());
    return OK;
}
int cuModuleUnload(void *) { return OK; }
int cuModuleGetFunction(void **function, void *module, const char *name) {
    WHOLE;
    auto call = reinterpret_cast<Call>(dlsym(module, (std::string("stand_in_call_") + name).c_str()));
    auto sizes = reinterpret_cast<const size_t *(*)()>(dlsym(module, (std::string("stand_in_sizes_") + name).c_str()));
    if (!call || !sizes) return NOT_FOUND;
    *function = new Kernel{name, call, sizes()};
    return OK;
}
int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *handle, void **args, void **) {
    WHOLE;
    auto &kernel = *static_cast<Kernel *>(function);
    if (!gx || !gy || !gz || !bx || !by || !bz || size_t(bx) * by * bz > 1024 || gy > 65535 || gz > 65535 ||
        shared > 48 << 10)
        return INVALID_VALUE;
    std::vector<std::vector<char>> values;
    for (const size_t *size = kernel.sizes; *size; size++) {
        auto *from = static_cast<const char *>(args[size - kernel.sizes]);
        values.emplace_back(from, from + *size);
    }
    return queue(of(handle), [=, &kernel, values = std::move(values)] {
        launch(kernel, {gx, gy, gz}, {bx, by, bz}, shared, values);
    });
}
}
