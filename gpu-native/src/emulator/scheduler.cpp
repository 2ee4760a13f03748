// Fibers, barriers and warps of the emulator. EMULATOR_ORDER picks who runs first: bit 0 reverses warps and lanes, bit 1 lets a warp run
// until it waits for its block before the next one starts, which shows barriers that are missing.
#include "emulator.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#if !defined(__x86_64__)
#error "the emulator switches fibers on x86-64 only"
#endif

namespace emulator {

extern "C" void emulator_switch(void** save, void* to);
asm(R"(
.text
.globl emulator_switch
.hidden emulator_switch
.type emulator_switch,@function
emulator_switch:
 pushq %rbp
 pushq %rbx
 pushq %r12
 pushq %r13
 pushq %r14
 pushq %r15
 movq %rsp,(%rdi)
 movq %rsi,%rsp
 popq %r15
 popq %r14
 popq %r13
 popq %r12
 popq %rbx
 popq %rbp
 ret
)");

namespace {

constexpr size_t STACK_BYTES = 64 << 10;
constexpr int MAX_THREADS = 1024;
constexpr size_t PAGE = 4096;

/** What one thread of the operating system needs to run blocks. */
struct Worker {
    std::vector<Fiber> fibers{MAX_THREADS};
    std::vector<Warp> warps{MAX_THREADS / 32};
    char* stacks;
    std::map<size_t, unsigned char*> shared;
    void* scheduler = nullptr;
    bool failed = false;
    Kernel* kernel = nullptr;
    const void* params = nullptr;

    Worker() {
        stacks = static_cast<char*>(mmap(
            nullptr, STACK_BYTES * MAX_THREADS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    }

    ~Worker() {
        munmap(stacks, STACK_BYTES * MAX_THREADS);
        for (auto& entry : shared) {
            release(entry.second, entry.first);
        }
    }

    /** Shared memory of a block: ends at a guard page. */
    unsigned char* sharedOf(size_t bytes) {
        auto& memory = shared[bytes];
        if (memory == nullptr) {
            memory = static_cast<unsigned char*>(allocate(std::max<size_t>(bytes, 16)));
        }
        return memory;
    }
};

thread_local Fiber* current;
thread_local Worker* worker;

std::mutex errorLock;
std::string errorText;
std::atomic<bool> anyFailed;

int setting(const char* name, int otherwise) {
    const char* value = getenv(name);
    return value ? atoi(value) : otherwise;
}

void report(const Block& block, const dim3* thread, const char* text) {
    std::lock_guard<std::mutex> guard(errorLock);
    if (errorText.empty()) {
        char where[256];
        snprintf(where, sizeof where, "kernel %s block (%u,%u,%u)", worker->kernel->name, block.index.x, block.index.y,
                 block.index.z);
        errorText = where;
        if (thread) {
            snprintf(where, sizeof where, " thread (%u,%u,%u)", thread->x, thread->y, thread->z);
            errorText += where;
        }
        errorText += std::string(": ") + text;
    }
    worker->failed = true;
    anyFailed = true;
}

void leave() {
    emulator_switch(&current->stack, worker->scheduler);
}

void fiber_main() {
    worker->kernel->call(worker->params);
    current->state = State::ENDED;
    current->block->live--;
    leave();
    abort();
}

Kernel*& registry() {
    static Kernel* head;
    return head;
}

void prepare(Worker& w, Block& block) {
    for (int i = 0; i < block.count; i++) {
        Fiber& f = w.fibers[i];
        f.block = &block;
        f.warp = &w.warps[i / 32];
        f.lane = i % 32;
        f.state = State::RUNS;
        unsigned n = static_cast<unsigned>(i);
        f.thread = {n % block.size.x, n / block.size.x % block.size.y, n / (block.size.x * block.size.y)};
        void** top = reinterpret_cast<void**>(w.stacks + STACK_BYTES * (i + 1));
        *--top = nullptr;
        *--top = reinterpret_cast<void*>(fiber_main);
        f.stack = top - 6;
        if (f.lane == 0) {
            f.warp->first = i;
            f.warp->size = std::min(32, block.count - i);
            for (Meeting& m : f.warp->meeting) {
                m.arrived = 0;
            }
        }
    }
}

/** Runs fibers from..to of the order once; says whether any could run. */
bool pass(Worker& w, const std::vector<int>& order, int from, int to) {
    bool any = false;
    for (int i = from; i < to; i++) {
        Fiber& f = w.fibers[order[i]];
        if (f.state == State::RUNS) {
            any = true;
            current = &f;
            emulator_switch(&w.scheduler, f.stack);
            if (w.failed) {
                return false;
            }
        }
    }
    return any;
}

void run_block(Worker& w, Block& block, size_t sharedBytes, const std::vector<int>& order, bool greedy) {
    block.fibers = w.fibers.data();
    block.count = block.live = static_cast<int>(block.size.x * block.size.y * block.size.z);
    block.waiting = 0;
    block.shared = w.sharedOf(sharedBytes);
    memset(block.shared, 0xff, sharedBytes);
    prepare(w, block);
    int step = greedy ? 32 : block.count;
    while (block.live > 0) {
        bool any = false;
        for (int from = 0; from < block.count; from += step) {
            int to = std::min(from + step, block.count);
            while (pass(w, order, from, to)) {
                any = true;
                if (!greedy) {
                    break;
                }
            }
            if (w.failed) {
                return;
            }
        }
        if (block.live > 0 && block.waiting == block.live) {
            block.waiting = 0;
            for (int i = 0; i < block.count; i++) {
                if (w.fibers[i].state == State::AT_BLOCK) {
                    w.fibers[i].state = State::RUNS;
                }
            }
        } else if (block.live > 0 && !any) {
            report(block, nullptr, ("deadlock, " + std::to_string(block.waiting) + " of " + std::to_string(block.live)
                                    + " live threads at the block barrier").c_str());
            return;
        }
    }
}

/** Order of the threads of a block; a last, shorter warp stays last so that warps begin at multiples of 32. */
std::vector<int> order_of(int threads, bool reverse) {
    int warps = (threads + 31) / 32;
    std::vector<int> byWarp(warps);
    std::iota(byWarp.begin(), byWarp.end(), 0);
    if (reverse) {
        std::reverse(byWarp.begin(), byWarp.begin() + threads / 32);
    }
    std::vector<int> order;
    for (int w : byWarp) {
        int size = std::min(32, threads - w * 32);
        for (int lane = 0; lane < size; lane++) {
            order.push_back(w * 32 + (reverse ? size - 1 - lane : lane));
        }
    }
    return order;
}

float low(uint32_t pair) {
    return __builtin_bit_cast(float, pair << 16);
}

float high(uint32_t pair) {
    return __builtin_bit_cast(float, pair & 0xffff0000u);
}

}  // namespace

Fiber* self() {
    return current;
}

void fail(const char* format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    report(*current->block, &current->thread, text);
    leave();
    abort();
}

void block_barrier() {
    current->block->waiting++;
    current->state = State::AT_BLOCK;
    leave();
}

void warp_collective(unsigned mask, int operation, void* argument, Collective function) {
    Fiber* f = current;
    Warp* warp = f->warp;
    if (warp->size < 32) {
        mask &= (1u << warp->size) - 1;
    }
    if (!(mask >> f->lane & 1)) {
        fail("lane %d calls a warp collective with mask %08x, which excludes it", f->lane, mask);
    }
    Meeting* meeting = nullptr;
    for (Meeting& m : warp->meeting) {
        if (m.arrived && m.mask == mask) {
            meeting = &m;
        }
    }
    for (Meeting& m : warp->meeting) {
        if (meeting == nullptr && !m.arrived) {
            meeting = &m;
            m.mask = mask;
            m.operation = operation;
        }
    }
    if (meeting == nullptr || meeting->operation != operation) {
        fail("lanes of one warp meet in different collectives");
    }
    meeting->arrived |= 1u << f->lane;
    meeting->argument[f->lane] = argument;
    if (meeting->arrived != mask) {
        f->state = State::AT_WARP;
        leave();
        return;
    }
    function(meeting->argument, mask);
    meeting->arrived = 0;
    for (int lane = 0; lane < warp->size; lane++) {
        if (mask >> lane & 1) {
            f->block->fibers[warp->first + lane].state = State::RUNS;
        }
    }
}

/** mma.m16n8k16: registers as the PTX ISA lays them out; each output is one chain over k, then added. */
void mma(void** arguments, unsigned) {
    float a[16][16];
    float b[8][16];
    for (int lane = 0; lane < 32; lane++) {
        auto* m = static_cast<Product*>(arguments[lane]);
        int g = lane >> 2;
        int t = 2 * (lane & 3);
        for (int i = 0; i < 4; i++) {
            int row = g + (i & 1) * 8;
            int column = t + (i >> 1) * 8;
            a[row][column] = low(m->a[i]);
            a[row][column + 1] = high(m->a[i]);
        }
        b[g][t] = low(m->b0);
        b[g][t + 1] = high(m->b0);
        b[g][t + 8] = low(m->b1);
        b[g][t + 9] = high(m->b1);
    }
    for (int lane = 0; lane < 32; lane++) {
        auto* m = static_cast<Product*>(arguments[lane]);
        for (int i = 0; i < 4; i++) {
            int row = (lane >> 2) + (i >> 1) * 8;
            int column = 2 * (lane & 3) + (i & 1);
            float sum = 0;
            for (int k = 0; k < 16; k++) {
                sum += a[row][k] * b[column][k];
            }
            m->c[i] += sum;
        }
    }
}

Kernel::Kernel(const char* name, void (*call)(const void*), size_t paramBytes, unsigned maxThreads)
    : name(name), call(call), paramBytes(paramBytes), maxThreads(maxThreads), next(registry()) {
    registry() = this;
}

Kernel* kernels() {
    return registry();
}

Kernel* find(const char* name) {
    for (Kernel* k = registry(); k; k = k->next) {
        if (strcmp(k->name, name) == 0) {
            return k;
        }
    }
    return nullptr;
}

const char* launch(Kernel* kernel, dim3 grid, dim3 block, size_t sharedBytes, const void* params) {
    static std::mutex one;
    std::lock_guard<std::mutex> guard(one);
    int threads = static_cast<int>(block.x * block.y * block.z);
    long blocks = static_cast<long>(grid.x) * grid.y * grid.z;
    errorText.clear();
    anyFailed = false;
    int mode = setting("EMULATOR_ORDER", 2);
    std::vector<int> order = order_of(threads, mode & 1);
    std::atomic<long> next{0};
    auto work = [&](Worker& w) {
        worker = &w;
        w.kernel = kernel;
        w.params = params;
        w.failed = false;
        for (long i; !anyFailed && (i = next++) < blocks;) {
            Block b{};
            unsigned n = static_cast<unsigned>(i);
            b.index = {n % grid.x, n / grid.x % grid.y, n / (grid.x * grid.y)};
            b.size = block;
            b.grid = grid;
            run_block(w, b, sharedBytes, order, mode & 2);
        }
    };
    static thread_local Worker mine;
    std::vector<std::thread> helpers;
    // A thread costs as much as some ten blocks.
    long wanted = std::min<long>(setting("EMULATOR_THREADS", 2), blocks / 32 + 1);
    for (long i = 1; i < wanted; i++) {
        helpers.emplace_back([&] {
            Worker w;
            work(w);
        });
    }
    work(mine);
    for (std::thread& t : helpers) {
        t.join();
    }
    return errorText.empty() ? nullptr : errorText.c_str();
}

void* allocate(size_t bytes) {
    size_t rounded = (bytes + 15) / 16 * 16;
    size_t pages = (rounded + PAGE - 1) / PAGE * PAGE;
    char* memory = static_cast<char*>(
        mmap(nullptr, pages + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(memory, PAGE, PROT_NONE);
    mprotect(memory + PAGE + pages, PAGE, PROT_NONE);
    memset(memory + PAGE, 0xff, pages);
    return memory + PAGE + pages - rounded;
}

void release(void* memory, size_t bytes) {
    size_t rounded = (bytes + 15) / 16 * 16;
    size_t pages = (rounded + PAGE - 1) / PAGE * PAGE;
    munmap(static_cast<char*>(memory) + rounded - pages - PAGE, pages + 2 * PAGE);
}

}  // namespace emulator
