// What CUDA C++ text needs to be compiled by g++: the words of the language as macros, and the
// functions that threads meet in. Implemented in emulator.cpp, which every kernel is linked to.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

using std::exp; using std::log; using std::log1p; using std::sqrt; using std::tanh; using std::pow;
using std::fabs;

struct EmulatedIndex {
    unsigned x, y, z;
};
struct EmulatedThread {
    EmulatedIndex thread, block, block_dim, grid_dim;
};
extern "C" {
extern EmulatedThread emulated_now;
extern unsigned char* emulated_shared;
void emulated_block_barrier(int line);
// Puts `size` bytes where the warp can see them, meets the lanes of `mask`, and gives the place
// of the bytes of each lane: lane i's are at i * 32.
const unsigned char* emulated_warp_exchange(unsigned mask, const void* mine, int size, int line);
void emulated_copy_async(void* to, const void* from, int bytes, bool really);
void emulated_copy_commit();
void emulated_copy_wait(int pending);
// Ends the launch: an access of several bytes whose place is no multiple of them.
void emulated_misaligned(const void* place);
}
static inline void emulated_check_alignment(const void* place, std::size_t bytes) {
    if (reinterpret_cast<std::uintptr_t>(place) % bytes) emulated_misaligned(place);
}

#define __global__
#define __device__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)
#define threadIdx (emulated_now.thread)
#define blockIdx (emulated_now.block)
#define blockDim (emulated_now.block_dim)
#define gridDim (emulated_now.grid_dim)
#define shared_memory emulated_shared
#define __syncthreads() emulated_block_barrier(__LINE__)
#define __syncwarp() emulated_warp_exchange(0xffffffffu, nullptr, 0, __LINE__)

static inline int emulated_lane() {
    const EmulatedThread& t = emulated_now;
    const unsigned flat =
        (t.thread.z * t.block_dim.y + t.thread.y) * t.block_dim.x + t.thread.x;
    return (int)(flat % 32);
}
template <class T> T emulated_from_lane(unsigned mask, T value, int lane, int line) {
    T found;
    const unsigned char* all = emulated_warp_exchange(mask, &value, sizeof(T), line);
    std::memcpy(&found, all + 32 * lane, sizeof(T));
    return found;
}
#define __shfl_xor_sync(mask, value, away) \
    emulated_from_lane(mask, value, emulated_lane() ^ (away), __LINE__)
#define __shfl_down_sync(mask, value, away)                                                  \
    emulated_from_lane(mask, value,                                                          \
                       emulated_lane() + (away) < 32 ? emulated_lane() + (away) : emulated_lane(), \
                       __LINE__)
#define __shfl_sync(mask, value, lane) emulated_from_lane(mask, value, (lane) % 32, __LINE__)
static inline unsigned emulated_ballot(unsigned mask, bool holds, int line) {
    const unsigned char mine = holds;
    const unsigned char* all = emulated_warp_exchange(mask, &mine, 1, line);
    unsigned bits = 0;
    for (int lane = 0; lane < 32; ++lane)
        if (mask >> lane & 1) bits |= (unsigned)(all[32 * lane] != 0) << lane;
    return bits;
}
#define __ballot_sync(mask, holds) emulated_ballot(mask, holds, __LINE__)

// Threads run one at a time and change only where they meet, so these are atomic as they stand.
template <class T> T atomicAdd(T* at, T value) { T old = *at; *at = old + value; return old; }
template <class T> T atomicMax(T* at, T value) { T old = *at; if (value > old) *at = value; return old; }
template <class T> T atomicMin(T* at, T value) { T old = *at; if (value < old) *at = value; return old; }
template <class T> T atomicCAS(T* at, T known, T value) {
    T old = *at;
    if (old == known) *at = value;
    return old;
}

// --- tensor cores: the lanes show their registers and each computes its own four sums.

static inline unsigned emulated_bf16(float a) {
    unsigned bits;
    std::memcpy(&bits, &a, 4);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    return (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
}
static inline unsigned short bf16_bits(float a) { return (unsigned short)emulated_bf16(a); }
static inline unsigned two_bf16(float low, float high) {
    return emulated_bf16(low) | emulated_bf16(high) << 16;
}
// To the nearest even; subnormal halves are multiples of 2^-24, and what rounds to 2^16 is infinite.
static inline unsigned emulated_f16(float a) {
    unsigned bits;
    std::memcpy(&bits, &a, 4);
    const unsigned sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) return 0x7fff;
    if (size >= 0x477ff000u) return sign | 0x7c00u;
    if (size < 0x38800000u) {
        float whole;
        std::memcpy(&whole, &size, 4);
        // Added to 1.5 * 2^-1, whose last place is 2^-24, a number is rounded to a multiple of it.
        const float sum = whole + 0.75f;
        std::memcpy(&bits, &sum, 4);
        return sign | (bits - 0x3f400000u);
    }
    return sign | ((size + 0xfffu + (size >> 13 & 1)) >> 13) - (112u << 10);
}
static inline unsigned short f16_bits(float a) { return (unsigned short)emulated_f16(a); }
static inline unsigned two_f16(float low, float high) {
    return emulated_f16(low) | emulated_f16(high) << 16;
}
static inline float float_of_f16(unsigned short half) {
    const unsigned sign = (unsigned)(half & 0x8000u) << 16, size = half & 0x7fffu;
    unsigned bits = sign | (size >= 0x7c00u ? 0x7f800000u | (size & 0x3ffu) << 13 : (size << 13) + (112u << 23));
    float a;
    if (size < 0x400u) {
        const float small = (float)size * 0x1p-24f;
        std::memcpy(&bits, &small, 4);
        bits |= sign;
    }
    std::memcpy(&a, &bits, 4);
    return a;
}
static inline unsigned as_tf32(float a) {
    unsigned bits;
    std::memcpy(&bits, &a, 4);
    if ((bits & 0x7f800000u) == 0x7f800000u) return bits;
    return (bits + 0x1000u) & 0xffffe000u;
}
static inline float float_of(unsigned bits) {
    float a;
    std::memcpy(&a, &bits, 4);
    return a;
}
static inline unsigned emulated_register(const unsigned char* all, int lane, int index) {
    unsigned bits;
    std::memcpy(&bits, all + 32 * lane + 4 * index, 4);
    return bits;
}
static inline float emulated_half_bf16(const unsigned char* all, int lane, int index, int high) {
    return float_of((emulated_register(all, lane, index) >> 16 * high) << 16);
}
static inline float emulated_half_f16(const unsigned char* all, int lane, int index, int high) {
    return float_of_f16((unsigned short)(emulated_register(all, lane, index) >> 16 * high));
}
static inline const unsigned char* emulated_show(
    const unsigned (&a)[4], const unsigned (&b)[2], int line) {
    const unsigned mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    return emulated_warp_exchange(0xffffffffu, mine, sizeof mine, line);
}
// Row r, column k of A lies with lane 4 (r % 8) + k / 2 % 4, register r / 8 + 2 (k / 8), half k % 2;
// row k, column n of B with lane 4 n + k / 2 % 4, register k / 8 (PTX manual, mma.m16n8k16).
template <float (*Half)(const unsigned char*, int, int, int)>
static inline void emulated_mma_halves(
    float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], int line) {
    const unsigned char* all = emulated_show(a, b, line);
    const int group = emulated_lane() / 4, pair = emulated_lane() % 4;
    for (int i = 0; i < 4; ++i) {
        const int r = group + 8 * (i / 2), n = 2 * pair + i % 2;
        for (int k = 0; k < 16; ++k)
            d[i] += Half(all, 4 * (r % 8) + k / 2 % 4, r / 8 + 2 * (k / 8), k % 2) *
                    Half(all, 4 * n + k / 2 % 4, 4 + k / 8, k % 2);
    }
}
// Row r, column k of A lies with lane 4 (r % 8) + k % 4, register r / 8 + 2 (k / 4); row k, column
// n of B with lane 4 n + k % 4, register k / 4 (PTX manual, mma.m16n8k8). The low 13 bits of a
// register are not looked at, as on the GPU.
static inline void emulated_mma_tf32(
    float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], int line) {
    const unsigned char* all = emulated_show(a, b, line);
    const int group = emulated_lane() / 4, pair = emulated_lane() % 4;
    for (int i = 0; i < 4; ++i) {
        const int r = group + 8 * (i / 2), n = 2 * pair + i % 2;
        for (int k = 0; k < 8; ++k) {
            const unsigned x = emulated_register(all, 4 * (r % 8) + k % 4, r / 8 + 2 * (k / 4));
            const unsigned y = emulated_register(all, 4 * n + k % 4, 4 + k / 4);
            d[i] += float_of(x & 0xffffe000u) * float_of(y & 0xffffe000u);
        }
    }
}
#define mma_bf16(d, a, b) emulated_mma_halves<emulated_half_bf16>(d, a, b, __LINE__)
#define mma_f16(d, a, b) emulated_mma_halves<emulated_half_f16>(d, a, b, __LINE__)
#define mma_tf32(d, a, b) emulated_mma_tf32(d, a, b, __LINE__)

// Rows of matrices in shared memory, which all lanes name before any is read.
static inline void emulated_matrices(unsigned (&to)[4], const void* row, bool turned, int line) {
    emulated_check_alignment(row, 16);
    const unsigned char* all = emulated_warp_exchange(0xffffffffu, &row, sizeof row, line);
    const int high = emulated_lane() / 4, low = emulated_lane() % 4;
    for (int matrix = 0; matrix < 4; ++matrix) {
        const unsigned char* rows[8];
        for (int r = 0; r < 8; ++r) std::memcpy(&rows[r], all + 32 * (8 * matrix + r), sizeof row);
        unsigned short halves[2];
        for (int i = 0; i < 2; ++i)
            std::memcpy(&halves[i], turned ? rows[2 * low + i] + 2 * high : rows[high] + 4 * low + 2 * i, 2);
        to[matrix] = halves[0] | (unsigned)halves[1] << 16;
    }
}
#define load_matrices(to, row) emulated_matrices(to, row, false, __LINE__)
#define load_matrices_turned(to, row) emulated_matrices(to, row, true, __LINE__)

template <int N> void copy_async(void* to, const void* from, bool really) {
    static_assert(N == 4 || N == 8 || N == 16, "cp.async copies 4, 8 or 16 bytes");
    emulated_check_alignment(to, N);
    if (really) emulated_check_alignment(from, N);
    emulated_copy_async(to, from, N, really);
}
static inline void copy_commit() { emulated_copy_commit(); }
template <int N> void copy_wait() { emulated_copy_wait(N); }

// --- how the emulator calls a kernel: with an array of addresses

template <class... A, std::size_t... I>
void emulated_apply(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel((A)arguments[I]...);
}
template <class... A> void emulated_call(void (*kernel)(A...), void** arguments) {
    emulated_apply(kernel, arguments, std::index_sequence_for<A...>());
}
