// What every kernel may use, beside the language itself. One text, two compilers: on a GPU the
// warp and tensor core functions are intrinsics and PTX, in the emulator they are functions of
// emulator.h with the same meaning.
#if defined(CNNDSL_EMULATED)
#include "emulator.h"
#define INFINITY_OF(T) ((T)__builtin_huge_val())
#define NAN_OF(T) ((T)__builtin_nan(""))
#define CHECK_ALIGNMENT(place, bytes) emulated_check_alignment(place, bytes)
#else
#define CHECK_ALIGNMENT(place, bytes)
extern __shared__ __align__(16) unsigned char shared_memory[];
template <class T> struct Special;
template <> struct Special<float> {
    static __device__ __forceinline__ float infinity() { return __int_as_float(0x7f800000); }
    static __device__ __forceinline__ float nan() { return __int_as_float(0x7fc00000); }
};
template <> struct Special<double> {
    static __device__ __forceinline__ double infinity() {
        return __longlong_as_double(0x7ff0000000000000ll);
    }
    static __device__ __forceinline__ double nan() {
        return __longlong_as_double(0x7ff8000000000000ll);
    }
};
#define INFINITY_OF(T) (Special<T>::infinity())
#define NAN_OF(T) (Special<T>::nan())
#endif

#define INLINE __device__ __forceinline__

// --- scalar arithmetic, by element type

INLINE float exp_of(float a) { return expf(a); }
INLINE double exp_of(double a) { return exp(a); }
INLINE float log_of(float a) { return logf(a); }
INLINE double log_of(double a) { return log(a); }
INLINE float log1p_of(float a) { return log1pf(a); }
INLINE double log1p_of(double a) { return log1p(a); }
INLINE float sqrt_of(float a) { return sqrtf(a); }
INLINE double sqrt_of(double a) { return sqrt(a); }
INLINE float tanh_of(float a) { return tanhf(a); }
INLINE double tanh_of(double a) { return tanh(a); }
INLINE float power_of(float a, float b) { return powf(a, b); }
INLINE double power_of(double a, double b) { return pow(a, b); }
INLINE float magnitude(float a) { return fabsf(a); }
INLINE double magnitude(double a) { return fabs(a); }
INLINE long long magnitude(long long a) { return a < 0 ? -a : a; }
INLINE int magnitude(int a) { return a < 0 ? -a : a; }
INLINE unsigned char magnitude(unsigned char a) { return a; }
INLINE bool magnitude(bool a) { return a; }
// A NaN in either operand is the result.
template <class T> INLINE T larger(T a, T b) { return (a > b || a != a) ? a : b; }
template <class T> INLINE T smaller(T a, T b) { return (a < b || a != a) ? a : b; }

// --- bfloat16 and half: two bytes in memory, a float to compute with

#if !defined(CNNDSL_EMULATED)
INLINE unsigned short bf16_bits(float a) {
    unsigned short bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(a));
    return bits;
}
INLINE unsigned short f16_bits(float a) {
    unsigned short bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(a));
    return bits;
}
INLINE float float_of(unsigned bits) { return __uint_as_float(bits); }
INLINE float float_of_f16(unsigned short bits) {
    float a;
    asm("cvt.f32.f16 %0, %1;" : "=f"(a) : "h"(bits));
    return a;
}
#endif
struct bf16 {
    unsigned short bits;
    INLINE operator float() const { return float_of((unsigned)bits << 16); }
    INLINE bf16& operator=(float a) {
        bits = bf16_bits(a);
        return *this;
    }
};
struct f16 {
    unsigned short bits;
    INLINE operator float() const { return float_of_f16(bits); }
    INLINE f16& operator=(float a) {
        bits = f16_bits(a);
        return *this;
    }
};

// --- several elements in one access, of a place that is a multiple of it

template <class T, int N> struct alignas(sizeof(T) * N > 16 ? 16 : sizeof(T) * N) Pack {
    T at[N];
};
template <int N, class T> INLINE Pack<T, N> take(const T* from) {
    CHECK_ALIGNMENT(from, alignof(Pack<T, N>));
    return *reinterpret_cast<const Pack<T, N>*>(from);
}
template <int N, class T> INLINE void put(T* to, const Pack<T, N>& pack) {
    CHECK_ALIGNMENT(to, alignof(Pack<T, N>));
    *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

// --- sums and maxima over LANES threads: 1, a warp of 32, or a whole block that is a multiple of
// it. Every thread gets the result. The order of summation depends on nothing but LANES.

struct Sum {
    template <class T> static INLINE T join(T a, T b) { return a + b; }
    template <class T> static INLINE T none() { return T(0); }
};
struct Largest {
    template <class T> static INLINE T join(T a, T b) { return larger(a, b); }
    template <class T> static INLINE T none() { return -INFINITY_OF(T); }
};

// `room` is shared memory for one T a warp; the block may not use it for anything else.
template <class How, int LANES, class T> INLINE T over_lanes(T value, T* room) {
    if (LANES == 1) return value;
    for (int away = 16; away; away /= 2)
        value = How::join(value, __shfl_xor_sync(0xffffffffu, value, away));
    if (LANES == 32) return value;
    __syncthreads();
    if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = value;
    __syncthreads();
    value = room[0];
    for (int warp = 1; warp < LANES / 32; ++warp) value = How::join(value, room[warp]);
    return value;
}

// The largest value with its place; of equal ones the first place, and NaN above all.
template <class T> struct Best {
    T value;
    long long at;
};
template <class T> INLINE bool beats(T value, long long at, T than, long long other) {
    if (other < 0) return at >= 0;
    if (at < 0) return false;
    const bool nan = value != value, than_nan = than != than;
    if (nan != than_nan) return nan;
    return (!nan && value > than) || ((nan || value == than) && at < other);
}
template <int LANES, class T> INLINE Best<T> best_over_lanes(Best<T> mine, Best<T>* room) {
    if (LANES == 1) return mine;
    for (int away = 16; away; away /= 2) {
        const T value = __shfl_xor_sync(0xffffffffu, mine.value, away);
        const long long at = __shfl_xor_sync(0xffffffffu, mine.at, away);
        if (beats(value, at, mine.value, mine.at)) mine = Best<T>{value, at};
    }
    if (LANES == 32) return mine;
    __syncthreads();
    if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = mine;
    __syncthreads();
    mine = room[0];
    for (int warp = 1; warp < LANES / 32; ++warp)
        if (beats(room[warp].value, room[warp].at, mine.value, mine.at)) mine = room[warp];
    return mine;
}

// --- Philox4x32-10 (Salmon et al., SC 2011), as in ops/random.py

struct Four {
    unsigned word[4];
};
INLINE Four philox(unsigned c0, unsigned c1, unsigned c2, unsigned c3, unsigned k0, unsigned k1) {
    for (int round = 0; round < 10; ++round) {
        const unsigned long long first = 0xD2511F53ull * c0, second = 0xCD9E8D57ull * c2;
        const unsigned high0 = (unsigned)(second >> 32), high2 = (unsigned)(first >> 32);
        c0 = high0 ^ c1 ^ k0;
        c2 = high2 ^ c3 ^ k1;
        c1 = (unsigned)second;
        c3 = (unsigned)first;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return Four{{c0, c1, c2, c3}};
}

// --- reports: the first place at fault wins; see faults.py

INLINE void report_label(unsigned long long* report, int place, long long label) {
    const long long most = 2147483647ll;
    const long long kept = label > most ? most : (label < -most ? -most : label);
    const unsigned long long high = (unsigned long long)(most - place) << 32;
    atomicMax(report, high | (unsigned)(int)kept);
}

// --- tensor cores and asynchronous copies

#if !defined(CNNDSL_EMULATED)
// Two floats as bf16, the first in the low half, to the nearest even.
INLINE unsigned two_bf16(float low, float high) {
    unsigned both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}
// The same as halves: what is too large is infinite.
INLINE unsigned two_f16(float low, float high) {
    unsigned both;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}
// A float as tf32, to the nearest.
INLINE unsigned as_tf32(float a) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(a));
    return bits;
}
// d += a b with the fragments of PTX's mma.m16n8k16 (bf16, f16) and mma.m16n8k8 (tf32).
INLINE void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
INLINE void mma_f16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
INLINE void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// Four matrices of 8 x 8 elements of two bytes, or of 8 x 4 of four: lane i gives the place in shared
// memory of row i % 8 of matrix i / 8, and gets of each the word i % 4 of row i / 4. Turned, of two
// bytes: the elements 2 (i % 4) and the next of column i / 4.
INLINE void load_matrices(unsigned (&to)[4], const void* row) {
    const unsigned place = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(place) : "memory");
}
INLINE void load_matrices_turned(unsigned (&to)[4], const void* row) {
    const unsigned place = (unsigned)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(place) : "memory");
}
// Copy N = 4, 8 or 16 bytes to shared memory without waiting; zeros where not `really`.
template <int N> INLINE void copy_async(void* to, const void* from, bool really) {
    const unsigned place = (unsigned)__cvta_generic_to_shared(to);
    const int bytes = really ? N : 0;
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
                 ::"r"(place), "l"(from), "n"(N), "r"(bytes) : "memory");
}
INLINE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Wait until at most N of this thread's groups are under way; then a barrier is still needed.
template <int N> INLINE void copy_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
#endif

// --- padding: the place that an index outside 0 .. far stands for

template <class I> INLINE I clamped(I at, I far) { return at < 0 ? 0 : (at > far ? far : at); }
template <class I> INLINE I mirrored(I at, I far) {
    at = at < 0 ? -at : at;
    return at > far ? 2 * far - at : at;
}
