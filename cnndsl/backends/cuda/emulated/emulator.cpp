// The machine: runs the blocks of a grid one after another, and the threads of a block as fibers
// that are changed where they meet. A block in which threads wait at different places, or for
// threads that have ended, is at fault; so is an access outside the memory that was given.
#include <algorithm>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <vector>

#if !defined(__x86_64__) && !defined(EMULATED_UCONTEXT)
#define EMULATED_UCONTEXT
#endif
#ifdef EMULATED_UCONTEXT
#include <ucontext.h>
#endif

struct Index {
    unsigned x, y, z;
};
struct Thread {
    Index thread, block, block_dim, grid_dim;
};
extern "C" {
Thread emulated_now;
unsigned char* emulated_shared;
}

namespace {

enum class State { READY, AT_BLOCK, AT_WARP, DONE };
const std::size_t STACK = 128 << 10, SHOWN = 32;

struct CopyAsync {
    void* to;
    const void* from;
    int bytes;
    bool really;
};
struct Fiber {
#ifdef EMULATED_UCONTEXT
    ucontext_t context;
#else
    void* stack_pointer = nullptr;
#endif
    unsigned char* stack = nullptr;
    State state = State::DONE;
    int line = 0;
    unsigned mask = 0;
    bool second = false;  // which of the warp's two places it shows its bytes in
    std::vector<std::vector<CopyAsync>> groups;  // the last one is still open
};
struct Launch {
    void (*call)(void**);
    void** arguments;
};

std::vector<Fiber> fibers;
std::vector<unsigned char> shown;  // [warp][2][32][SHOWN]
std::vector<int> warp_turn, lane_turn;
unsigned count;
unsigned current;
Launch launch;
std::uint64_t chance;
sigjmp_buf fault_exit;
void* volatile fault_place;
volatile bool inside;
#ifdef EMULATED_UCONTEXT
ucontext_t scheduler;
#else
void* scheduler_pointer;
#endif

#ifdef EMULATED_UCONTEXT
void to_fiber(Fiber& f) { swapcontext(&scheduler, &f.context); }
void to_scheduler(Fiber& f) { swapcontext(&f.context, &scheduler); }
#else
// Saves the registers that a function must keep and changes the stack: 21 ns for both ways, where
// swapcontext makes a system call.
extern "C" void emulated_switch(void** save, void* to);
asm(R"(
.text
.p2align 4
.type emulated_switch,@function
emulated_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emulated_switch,.-emulated_switch
)");
void to_fiber(Fiber& f) { emulated_switch(&scheduler_pointer, f.stack_pointer); }
void to_scheduler(Fiber& f) { emulated_switch(&f.stack_pointer, scheduler_pointer); }
#endif

void entry() {
    launch.call(launch.arguments);
    fibers[current].state = State::DONE;
    to_scheduler(fibers[current]);
    __builtin_unreachable();
}

void begin(Fiber& f) {
    f.state = State::READY;
    f.second = false;
    f.groups.assign(1, {});
#ifdef EMULATED_UCONTEXT
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack;
    f.context.uc_stack.ss_size = STACK;
    f.context.uc_link = nullptr;
    makecontext(&f.context, entry, 0);
#else
    auto top = reinterpret_cast<void**>(f.stack + STACK);
    *--top = nullptr;  // where entry would return to; keeps its stack aligned
    *--top = reinterpret_cast<void*>(entry);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    f.stack_pointer = top;
#endif
}

void park(State state, int line, unsigned mask) {
    Fiber& f = fibers[current];
    f.state = state;
    f.line = line;
    f.mask = mask;
    to_scheduler(f);
}

std::uint64_t draw() {
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return chance;
}

void arrange(std::vector<int>& turn, unsigned size, int order) {
    turn.resize(size);
    for (unsigned i = 0; i < size; ++i) turn[i] = order == 1 ? size - 1 - i : i;
    if (order == 2)
        for (unsigned i = size; i > 1; --i) std::swap(turn[i - 1], turn[draw() % i]);
}

// Releases the lanes of a warp that wait for nobody any more; tells whether any were.
bool release_warp(unsigned first, unsigned lanes) {
    bool any = false;
    for (unsigned i = 0; i < lanes; ++i) {
        const Fiber& f = fibers[first + i];
        if (f.state != State::AT_WARP) continue;
        const unsigned mask = f.mask;
        bool met = true;
        for (unsigned lane = 0; lane < 32; ++lane) {
            if (!(mask >> lane & 1)) continue;
            met = met && lane < lanes && fibers[first + lane].state == State::AT_WARP &&
                  fibers[first + lane].line == f.line && fibers[first + lane].mask == mask;
        }
        if (!met) continue;
        for (unsigned lane = 0; lane < 32; ++lane)
            if (mask >> lane & 1) fibers[first + lane].state = State::READY;
        any = true;
    }
    return any;
}

// Runs a warp as far as it goes without the others: so far may one be ahead of another.
void run_warp(unsigned first, unsigned lanes, int order) {
    const Index dim = emulated_now.block_dim;
    do {
        arrange(lane_turn, lanes, order);
        for (unsigned i = 0; i < lanes; ++i) {
            Fiber& f = fibers[current = first + lane_turn[i]];
            if (f.state != State::READY) continue;
            emulated_now.thread = {current % dim.x, current / dim.x % dim.y, current / dim.x / dim.y};
            to_fiber(f);
        }
    } while (release_warp(first, lanes));
}

bool release_block() {
    for (unsigned i = 0; i < count; ++i)
        if (fibers[i].state != State::AT_BLOCK || fibers[i].line != fibers[0].line) return false;
    for (unsigned i = 0; i < count; ++i) fibers[i].state = State::READY;
    return true;
}

const char* words(const Fiber& f, char* room, std::size_t size) {
    if (f.state == State::DONE) return "has ended";
    std::snprintf(room, size, "waits for its %s at line %d",
                  f.state == State::AT_BLOCK ? "block" : "warp", f.line);
    return room;
}

bool same(const Fiber& a, const Fiber& b) { return a.state == b.state && a.line == b.line; }

void describe_divergence(char* message, std::size_t size) {
    unsigned waiting = 0, other = 0;
    while (waiting + 1 < count && fibers[waiting].state == State::DONE) ++waiting;
    while (other + 1 < count && same(fibers[other], fibers[waiting])) ++other;
    char a[80], b[80];
    const Index& at = emulated_now.block;
    std::snprintf(message, size, "barrier divergence in block (%u, %u, %u): thread %u %s, thread %u %s",
                  at.x, at.y, at.z, waiting, words(fibers[waiting], a, sizeof a), other,
                  words(fibers[other], b, sizeof b));
}

bool run_block(int order, char* message, std::size_t size) {
    for (unsigned i = 0; i < count; ++i) begin(fibers[i]);
    for (;;) {
        arrange(warp_turn, (count + 31) / 32, order);
        for (int warp : warp_turn) run_warp(32 * warp, std::min(32u, count - 32 * warp), order);
        bool done = true;
        for (unsigned i = 0; i < count; ++i) done = done && fibers[i].state == State::DONE;
        if (done) return true;
        if (!release_block()) {
            describe_divergence(message, size);
            return false;
        }
    }
}

void on_fault(int, siginfo_t* info, void*) {
    if (!inside) {  // not ours: let it end the process as it would have
        std::signal(SIGSEGV, SIG_DFL);
        return;
    }
    fault_place = info->si_addr;
    siglongjmp(fault_exit, 1);
}

void make_fibers(unsigned wanted) {
    while (fibers.size() < wanted) {
        Fiber f;
        void* stack = mmap(nullptr, STACK + 4096, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        mprotect(stack, 4096, PROT_NONE);
        f.stack = static_cast<unsigned char*>(stack) + 4096;
        fibers.push_back(f);
    }
}

}  // namespace

extern "C" void emulated_block_barrier(int line) { park(State::AT_BLOCK, line, 0); }

extern "C" const unsigned char* emulated_warp_exchange(
    unsigned mask, const void* mine, int size, int line) {
    Fiber& f = fibers[current];
    const unsigned me = current;
    unsigned char* all = shown.data() + (me / 32 * 2 + f.second) * 32 * SHOWN;
    f.second = !f.second;  // the next exchange does not disturb those who still read this one
    if (size) std::memcpy(all + me % 32 * SHOWN, mine, size);
    park(State::AT_WARP, line, mask);
    return all;
}

extern "C" void emulated_copy_async(void* to, const void* from, int bytes, bool really) {
    fibers[current].groups.back().push_back({to, from, bytes, really});
}

extern "C" void emulated_misaligned(const void* place) {
    fault_place = const_cast<void*>(place);
    siglongjmp(fault_exit, 2);
}

extern "C" void emulated_copy_commit() { fibers[current].groups.emplace_back(); }

// Only now is anything copied, so that a wait that is missing shows.
extern "C" void emulated_copy_wait(int pending) {
    auto& groups = fibers[current].groups;
    while ((int)groups.size() - 1 > pending) {
        for (const CopyAsync& copy : groups.front()) {
            std::memset(copy.to, 0, copy.bytes);
            if (copy.really) std::memcpy(copy.to, copy.from, copy.bytes);
        }
        groups.erase(groups.begin());
    }
}

// Gives 0, 1 for threads that do not meet (with a message), 2 for an access outside, or 3 for a
// misaligned one (with its place in `fault`). Shared memory is filled with 0xff, NaN as a float, before each block.
extern "C" int emulated_launch(void (*call)(void**), void** arguments, const unsigned* sizes,
                               unsigned char* shared, std::size_t shared_bytes, int order,
                               std::uint64_t seed, char* message, std::size_t message_size,
                               void** fault) {
    launch = {call, arguments};
    emulated_now.grid_dim = {sizes[0], sizes[1], sizes[2]};
    emulated_now.block_dim = {sizes[3], sizes[4], sizes[5]};
    count = sizes[3] * sizes[4] * sizes[5];
    make_fibers(count);
    shown.assign((count + 31) / 32 * 2 * 32 * SHOWN, 0xff);
    chance = seed | 1;
    emulated_shared = shared;
    static unsigned char signal_stack[1 << 16];
    stack_t mine{}, old_stack{};
    mine.ss_sp = signal_stack;
    mine.ss_size = sizeof signal_stack;
    sigaltstack(&mine, &old_stack);
    struct sigaction action{}, old_segv{}, old_bus{};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigaction(SIGSEGV, &action, &old_segv);
    sigaction(SIGBUS, &action, &old_bus);
    volatile int result = 0;
    if (const int why = sigsetjmp(fault_exit, 1)) {
        *fault = fault_place;
        result = 1 + why;
    } else {
        inside = true;
        const unsigned long long blocks = 1ull * sizes[0] * sizes[1] * sizes[2];
        for (unsigned long long i = 0; i < blocks && !result; ++i) {
            const unsigned long long b = order == 1 ? blocks - 1 - i : i;
            emulated_now.block = {(unsigned)(b % sizes[0]), (unsigned)(b / sizes[0] % sizes[1]),
                                  (unsigned)(b / sizes[0] / sizes[1])};
            if (shared_bytes) std::memset(shared, 0xff, shared_bytes);
            if (!run_block(order, message, message_size)) result = 1;
        }
    }
    inside = false;
    sigaction(SIGSEGV, &old_segv, nullptr);
    sigaction(SIGBUS, &old_bus, nullptr);
    sigaltstack(&old_stack, nullptr);
    return result;
}

extern "C" void emulated_where(unsigned* block, unsigned* thread) {
    *block = emulated_now.block.x + emulated_now.grid_dim.x *
                 (emulated_now.block.y + emulated_now.grid_dim.y * emulated_now.block.z);
    *thread = current;
}
