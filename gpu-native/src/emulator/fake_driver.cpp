// The part of the CUDA driver interface that the backend calls, on top of the emulator, built as libcuda.so.1 so that the unmodified
// JCuda binding runs on it. Test scope only. Module images are accepted by their header: the kernels are those linked into this library.
#include "emulator.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using Address = unsigned long long;
using Handle = void*;

#define CHECK(expression)            \
    if (int status = (expression)) { \
        return status;               \
    }

namespace {

enum Status {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_FAILED = 719,
    STREAM_CAPTURE_UNSUPPORTED = 900,
};

constexpr size_t MEMORY = 8ull << 30;
constexpr int MAX_SHARED = 232448;

struct Function {
    emulator::Kernel* kernel;
    int maxShared = 48 << 10;
};

struct Stream;

/** A point in a stream that was recorded; done when everything before it is. */
struct Mark {
    Stream* stream;
    bool done = false;
};

/** One operation of a stream or a graph. */
struct Operation {
    enum Kind { LAUNCH, COPY, FILL, RECORD, WAIT } kind;
    Function* function;
    dim3 grid;
    dim3 block;
    unsigned shared;
    std::vector<char> params;
    void* to;
    const void* from;
    size_t count;
    unsigned value;
    std::shared_ptr<Mark> mark;
};

struct Graph {
    std::vector<Operation> operations;
};

/**
 * What a stream was given is done as late as the interface allows: when someone waits for it. So memory that is used again too early, and
 * work that relies on an order nobody asked for, show.
 */
struct Stream {
    Graph* capture = nullptr;
    std::deque<Operation> pending;
    bool launches = false;
};

struct Event {
    double time = 0;
    std::shared_ptr<Mark> mark;
};

std::recursive_mutex lock;
bool initialized;
bool context;
int fault;
std::map<Address, size_t> memory;
size_t used;
std::map<std::string, Function> functions;
Stream defaultStream;
std::vector<Stream*> streams;
thread_local bool current;
std::atomic<bool> copiesHeld;
int allocations;
int launches;

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int setting(const char* name) {
    const char* value = getenv(name);
    return value ? atoi(value) : 0;
}

/** A range must lie inside one allocation. */
int check_range(Address address, size_t bytes, const char* what) {
    auto i = memory.upper_bound(address);
    if (i != memory.begin()) {
        --i;
        if (address + bytes <= i->first + i->second) {
            return SUCCESS;
        }
    }
    fprintf(stderr, "emulator: %s: %zu bytes at %llx do not lie inside one allocation\n", what, bytes, address);
    return INVALID_VALUE;
}

int execute(const Operation& o) {
    if (fault) {
        return fault;
    }
    switch (o.kind) {
        case Operation::COPY:
            memcpy(o.to, o.from, o.count);
            return SUCCESS;
        case Operation::FILL:
            for (size_t i = 0; i < o.count; i++) {
                static_cast<unsigned*>(o.to)[i] = o.value;
            }
            return SUCCESS;
        default:
            break;
    }
    // Tests ask for a fault or a hang after so many launches.
    launches++;
    if (setting("EMULATOR_FAULT_AFTER") && launches > setting("EMULATOR_FAULT_AFTER")) {
        return fault = ILLEGAL_ADDRESS;
    }
    if (setting("EMULATOR_HANG_AFTER") && launches > setting("EMULATOR_HANG_AFTER")) {
        std::this_thread::sleep_for(std::chrono::hours(1));
    }
    if (const char* error = emulator::launch(o.function->kernel, o.grid, o.block, o.shared, o.params.data())) {
        fprintf(stderr, "emulator: %s\n", error);
        return fault = LAUNCH_FAILED;
    }
    return SUCCESS;
}

/** Does what is pending in a stream, up to a mark or all. */
int drain(Stream* s, const Mark* until) {
    int status = SUCCESS;
    while (!s->pending.empty() && !(until && until->done)) {
        Operation o = std::move(s->pending.front());
        s->pending.pop_front();
        if (o.kind == Operation::RECORD) {
            o.mark->done = true;
        } else if (o.kind == Operation::WAIT) {
            status = o.mark->done ? SUCCESS : drain(o.mark->stream, o.mark.get());
        } else {
            status = execute(o);
        }
        if (status) {
            return status;
        }
    }
    return fault;
}

int drain_all() {
    for (Stream* s : streams) {
        CHECK(drain(s, nullptr));
    }
    return fault;
}

int submit(Handle stream, Operation o) {
    Stream* s = stream ? static_cast<Stream*>(stream) : &defaultStream;
    if (s->capture) {
        s->capture->operations.push_back(std::move(o));
        return SUCCESS;
    }
    s->launches = s->launches || o.kind == Operation::LAUNCH;
    s->pending.push_back(std::move(o));
    return stream ? SUCCESS : drain(s, nullptr);
}

/** While a test holds copies, whoever waits for a stream without kernels waits on. */
void hold(const Stream* s) {
    while (copiesHeld && !s->launches) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

int ready() {
    return !initialized ? NOT_INITIALIZED : !context || !current ? INVALID_CONTEXT : fault;
}

int copy(Handle stream, void* to, const void* from, size_t bytes) {
    Operation o{};
    o.kind = Operation::COPY;
    o.to = to;
    o.from = from;
    o.count = bytes;
    return submit(stream, std::move(o));
}

void* host(Address address) {
    return reinterpret_cast<void*>(address);
}

}  // namespace

#define API extern "C" __attribute__((visibility("default"))) int
#define GUARD std::lock_guard<std::recursive_mutex> guard(lock)
#define READY                   \
    GUARD;                      \
    if (int status = ready()) { \
        return status;          \
    }

API cuInit(unsigned) {
    if (setting("EMULATOR_NO_DEVICE")) {
        return 100;
    }
    initialized = true;
    return SUCCESS;
}

API cuDriverGetVersion(int* version) {
    *version = setting("EMULATOR_DRIVER") ? setting("EMULATOR_DRIVER") : 13000;
    return SUCCESS;
}

API cuDeviceGetCount(int* count) {
    *count = 1;
    return initialized ? SUCCESS : NOT_INITIALIZED;
}

API cuDeviceGet(int* device, int ordinal) {
    *device = 0;
    return ordinal ? INVALID_DEVICE : SUCCESS;
}

API cuDeviceGetName(char* name, int length, int) {
    snprintf(name, length, "CPU emulator");
    return SUCCESS;
}

API cuDeviceTotalMem_v2(size_t* bytes, int) {
    *bytes = MEMORY;
    return SUCCESS;
}

API cuDeviceGetAttribute(int* value, int attribute, int) {
    int capability = setting("EMULATOR_CAPABILITY") ? setting("EMULATOR_CAPABILITY") : 90;
    switch (attribute) {
        case 16:
            *value = 132;
            break;
        case 75:
            *value = capability / 10;
            break;
        case 76:
            *value = capability % 10;
            break;
        case 97:
            *value = MAX_SHARED;
            break;
        // The emulator's own, for tests: calls that claimed memory, and whether copies beside the kernels are held.
        case 10000:
            *value = allocations;
            break;
        case 10001:
        case 10002:
            copiesHeld = attribute == 10001;
            break;
        default:
            *value = 0;
    }
    return SUCCESS;
}

API cuDevicePrimaryCtxRetain(Handle* c, int) {
    GUARD;
    *c = &context;
    context = true;
    return initialized ? SUCCESS : NOT_INITIALIZED;
}

API cuDevicePrimaryCtxRelease_v2(int) {
    return SUCCESS;
}

API cuCtxSetCurrent(Handle c) {
    current = c != nullptr;
    return SUCCESS;
}

API cuCtxSynchronize() {
    READY;
    return drain_all();
}

API cuMemGetInfo_v2(size_t* free, size_t* total) {
    READY;
    *total = MEMORY;
    *free = MEMORY - used;
    return SUCCESS;
}

API cuMemAlloc_v2(Address* address, size_t bytes) {
    READY;
    if (bytes == 0) {
        return INVALID_VALUE;
    }
    if (used + bytes > MEMORY) {
        return OUT_OF_MEMORY;
    }
    *address = reinterpret_cast<Address>(emulator::allocate(bytes));
    memory[*address] = bytes;
    used += bytes;
    allocations++;
    return SUCCESS;
}

API cuMemFree_v2(Address address) {
    GUARD;
    CHECK(drain_all());
    auto i = memory.find(address);
    if (i == memory.end()) {
        return INVALID_VALUE;
    }
    emulator::release(host(address), i->second);
    used -= i->second;
    memory.erase(i);
    return SUCCESS;
}

API cuMemHostAlloc(Handle* address, size_t bytes, unsigned) {
    READY;
    *address = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    return SUCCESS;
}

API cuMemFreeHost(Handle address) {
    free(address);
    return SUCCESS;
}

API cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, Handle stream) {
    READY;
    CHECK(check_range(to, bytes, "cuMemcpyHtoDAsync"));
    return copy(stream, host(to), from, bytes);
}

API cuMemcpyHtoD_v2(Address to, const void* from, size_t bytes) {
    return cuMemcpyHtoDAsync_v2(to, from, bytes, nullptr);
}

API cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, Handle stream) {
    READY;
    CHECK(check_range(from, bytes, "cuMemcpyDtoHAsync"));
    return copy(stream, to, host(from), bytes);
}

API cuMemcpyDtoH_v2(void* to, Address from, size_t bytes) {
    return cuMemcpyDtoHAsync_v2(to, from, bytes, nullptr);
}

API cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, Handle stream) {
    READY;
    CHECK(check_range(from, bytes, "cuMemcpyDtoDAsync from"));
    CHECK(check_range(to, bytes, "cuMemcpyDtoDAsync to"));
    return copy(stream, host(to), host(from), bytes);
}

API cuMemsetD32Async(Address to, unsigned value, size_t count, Handle stream) {
    READY;
    CHECK(check_range(to, 4 * count, "cuMemsetD32Async"));
    Operation o{};
    o.kind = Operation::FILL;
    o.to = host(to);
    o.value = value;
    o.count = count;
    return submit(stream, std::move(o));
}

API cuModuleLoadData(Handle* module, const void* image) {
    READY;
    bool elf = memcmp(image, "\177ELF", 4) == 0;
    bool ptx = memcmp(image, "//", 2) == 0;
    *module = &functions;
    return elf || ptx ? SUCCESS : INVALID_IMAGE;
}

API cuModuleUnload(Handle) {
    return SUCCESS;
}

API cuModuleGetFunction(Handle* function, Handle, const char* name) {
    READY;
    emulator::Kernel* kernel = emulator::find(name);
    if (!kernel) {
        return NOT_FOUND;
    }
    functions[name].kernel = kernel;
    *function = &functions[name];
    return SUCCESS;
}

API cuFuncSetAttribute(Handle function, int attribute, int value) {
    READY;
    if (attribute == 8) {
        if (value > MAX_SHARED) {
            return INVALID_VALUE;
        }
        static_cast<Function*>(function)->maxShared = value;
    }
    return SUCCESS;
}

API cuLaunchKernel(Handle function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, Handle stream, void** params, void** extra) {
    READY;
    auto* f = static_cast<Function*>(function);
    bool grid = gx && gy && gz && gy <= 65535 && gz <= 65535;
    bool block = bx && by && bz && static_cast<size_t>(bx) * by * bz <= f->kernel->maxThreads;
    if (!grid || !block || static_cast<int>(shared) > f->maxShared || !params || !params[0] || extra) {
        fprintf(stderr, "emulator: %s: bad launch, grid (%u,%u,%u) block (%u,%u,%u) shared %u of %d\n", f->kernel->name, gx,
                gy, gz, bx, by, bz, shared, f->maxShared);
        return INVALID_VALUE;
    }
    Operation o{};
    o.kind = Operation::LAUNCH;
    o.function = f;
    o.grid = {gx, gy, gz};
    o.block = {bx, by, bz};
    o.shared = shared;
    auto* bytes = static_cast<const char*>(params[0]);
    o.params.assign(bytes, bytes + f->kernel->paramBytes);
    return submit(stream, std::move(o));
}

API cuStreamCreate(Handle* stream, unsigned) {
    READY;
    auto* s = new Stream;
    streams.push_back(s);
    *stream = s;
    return SUCCESS;
}

API cuStreamDestroy_v2(Handle stream) {
    GUARD;
    auto* s = static_cast<Stream*>(stream);
    int status = drain(s, nullptr);
    streams.erase(std::find(streams.begin(), streams.end(), s));
    delete s;
    return status;
}

API cuStreamSynchronize(Handle stream) {
    auto* s = stream ? static_cast<Stream*>(stream) : &defaultStream;
    hold(s);
    READY;
    return s->capture ? STREAM_CAPTURE_UNSUPPORTED : drain(s, nullptr);
}

API cuStreamWaitEvent(Handle stream, Handle event, unsigned) {
    READY;
    Operation o{};
    o.kind = Operation::WAIT;
    o.mark = static_cast<Event*>(event)->mark;
    return o.mark ? submit(stream, std::move(o)) : SUCCESS;
}

API cuStreamQuery(Handle stream) {
    return cuStreamSynchronize(stream);
}

API cuStreamBeginCapture_v2(Handle stream, int) {
    READY;
    if (!stream) {
        return STREAM_CAPTURE_UNSUPPORTED;
    }
    static_cast<Stream*>(stream)->capture = new Graph;
    return SUCCESS;
}

API cuStreamEndCapture(Handle stream, Handle* graph) {
    READY;
    *graph = static_cast<Stream*>(stream)->capture;
    static_cast<Stream*>(stream)->capture = nullptr;
    return *graph ? SUCCESS : INVALID_VALUE;
}

API cuGraphInstantiateWithFlags(Handle* executable, Handle graph, unsigned long long) {
    READY;
    *executable = new Graph(*static_cast<Graph*>(graph));
    return SUCCESS;
}

API cuGraphLaunch(Handle executable, Handle stream) {
    READY;
    for (const Operation& o : static_cast<Graph*>(executable)->operations) {
        CHECK(submit(stream, o));
    }
    return SUCCESS;
}

API cuGraphDestroy(Handle graph) {
    delete static_cast<Graph*>(graph);
    return SUCCESS;
}

API cuGraphExecDestroy(Handle graph) {
    delete static_cast<Graph*>(graph);
    return SUCCESS;
}

API cuEventCreate(Handle* event, unsigned) {
    *event = new Event;
    return SUCCESS;
}

API cuEventRecord(Handle event, Handle stream) {
    READY;
    auto* s = stream ? static_cast<Stream*>(stream) : &defaultStream;
    auto* e = static_cast<Event*>(event);
    e->time = now();
    e->mark = std::make_shared<Mark>(Mark{s});
    Operation o{};
    o.kind = Operation::RECORD;
    o.mark = e->mark;
    return submit(stream, std::move(o));
}

API cuEventSynchronize(Handle event) {
    std::shared_ptr<Mark> mark = static_cast<Event*>(event)->mark;
    if (mark) {
        hold(mark->stream);
    }
    READY;
    return mark && !mark->done ? drain(mark->stream, mark.get()) : SUCCESS;
}

API cuEventQuery(Handle event) {
    return cuEventSynchronize(event);
}

API cuEventElapsedTime(float* milliseconds, Handle from, Handle to) {
    *milliseconds = static_cast<float>((static_cast<Event*>(to)->time - static_cast<Event*>(from)->time) * 1e3);
    return SUCCESS;
}

API cuEventDestroy_v2(Handle event) {
    delete static_cast<Event*>(event);
    return SUCCESS;
}

API cuGetErrorName(int status, const char** name) {
    static const std::map<int, const char*> names = {
        {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"},     {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"},
        {NOT_FOUND, "CUDA_ERROR_NOT_FOUND"},             {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"},
        {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED"},     {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE"},
    };
    auto i = names.find(status);
    *name = i == names.end() ? "CUDA_ERROR" : i->second;
    return SUCCESS;
}
