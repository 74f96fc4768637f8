// A stand-in for cuBLASLt on the host: the functions that are used, with the library's interface.
// It keeps to the documentation: matrices column by column, an epilogue of bias a row and ReLU.
#include <cstdint>
#include <cstring>
#include <cstdlib>
#include <vector>

namespace {
struct Product { int32_t compute, type, turned_a = 0, turned_b = 0, epilogue = 1; const float* bias = nullptr; };
struct Matrix { int type; uint64_t rows, columns; int64_t lead, stride = 0; int32_t batch = 1; };
struct Wish { uint64_t workspace = 0; };
struct Algorithm { uint64_t data[8]; };
struct Result { Algorithm algorithm; size_t workspace; int state; float waves; int reserved[4]; };
constexpr int INVALID = 7, UNSUPPORTED = 15, FAILED = 13;
int fault = 0;
int calls = 0;
void* last_stream = nullptr;
}

// Elements in memory: singles (0), halves (2), bfloat16 (14). The compiler's own halves would need
// a newer one, so a single is rounded by hand, to the nearest even.
static float get(const void* from, const Matrix* m, uint64_t at) {
    if (!m->type) return static_cast<const float*>(from)[at];
    const uint32_t half = static_cast<const uint16_t*>(from)[at], size = half & 0x7fff;
    uint32_t bits = half << 16;
    if (m->type == 2) bits = (half & 0x8000) << 16 | ((size << 13) + (112u << 23));
    float value;
    memcpy(&value, &bits, 4);
    if (m->type == 2 && size < 0x400) value = (half & 0x8000 ? -1.0f : 1.0f) * size / 16777216.0f;
    return value;
}
static void put(void* to, const Matrix* m, uint64_t at, float value) {
    if (!m->type) {
        static_cast<float*>(to)[at] = value;
        return;
    }
    uint32_t bits;
    memcpy(&bits, &value, 4);
    const uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    uint32_t half = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    if (m->type == 2) {
        const float whole = value < 0 ? -value : value;
        half = sign | (((size + 0xfff + (size >> 13 & 1)) >> 13) - (112 << 10));
        if (size < 0x38800000) half = sign | (uint32_t)__builtin_rintf(whole * 16777216.0f);
    }
    static_cast<uint16_t*>(to)[at] = (uint16_t)half;
}

extern "C" {
// For the tests: 1 lets heuristics fail, 2 products, 3 makes a product wrong by a little.
void fake_fault(int what) { fault = what; }
int fake_calls() { return calls; }
void* fake_stream() { return last_stream; }

size_t cublasLtGetVersion() { return 130100; }
int cublasLtCreate(void** handle) { *handle = malloc(1); return 0; }
int cublasLtMatmulDescCreate(Product** made, int compute, int type) {
    if (compute != 68 && compute != 74 && compute != 75 && compute != 77) return INVALID;
    *made = new Product{compute, type};
    return 0;
}
int cublasLtMatmulDescSetAttribute(Product* p, int attribute, const void* value, size_t size) {
    if (attribute == 8) {
        if (size != 8) return INVALID;
        memcpy(&p->bias, value, 8);
        return 0;
    }
    if (size != 4) return INVALID;
    int32_t* place = attribute == 3 ? &p->turned_a : attribute == 4 ? &p->turned_b
                     : attribute == 7 ? &p->epilogue : nullptr;
    if (!place) return INVALID;
    memcpy(place, value, 4);
    return 0;
}
int cublasLtMatrixLayoutCreate(Matrix** made, int type, uint64_t rows, uint64_t columns, int64_t lead) {
    if ((type != 0 && type != 2 && type != 14) || lead < (int64_t)rows) return INVALID;
    *made = new Matrix{type, rows, columns, lead};
    return 0;
}
int cublasLtMatrixLayoutSetAttribute(Matrix* m, int attribute, const void* value, size_t size) {
    if (attribute == 5 && size == 4) memcpy(&m->batch, value, 4);
    else if (attribute == 6 && size == 8) memcpy(&m->stride, value, 8);
    else return INVALID;
    return 0;
}
int cublasLtMatmulPreferenceCreate(Wish** made) { *made = new Wish; return 0; }
int cublasLtMatmulPreferenceSetAttribute(Wish* w, int attribute, const void* value, size_t size) {
    if (attribute != 1 || size != 8) return INVALID;
    memcpy(&w->workspace, value, 8);
    return 0;
}
int cublasLtMatmulPreferenceDestroy(Wish* w) { delete w; return 0; }

static bool fits(const Product* p, const Matrix* a, const Matrix* b, const Matrix* d) {
    uint64_t m = p->turned_a ? a->columns : a->rows, k = p->turned_a ? a->rows : a->columns;
    uint64_t n = p->turned_b ? b->rows : b->columns, l = p->turned_b ? b->columns : b->rows;
    // Factors of one type, which singles may be the result of, and nothing else.
    if (a->type != b->type || (d->type && d->type != a->type)) return false;
    if (a->type && p->compute != 68) return false;
    if ((p->epilogue & 4) && d->type) return false;  // a bias of singles goes to singles alone
    return k == l && m == d->rows && n == d->columns && a->batch == d->batch && b->batch == d->batch;
}

int cublasLtMatmulAlgoGetHeuristic(void* handle, const Product* p, const Matrix* a, const Matrix* b,
                                   const Matrix* c, const Matrix* d, const Wish* w, int most,
                                   Result* found, int* count) {
    if (!handle || fault == 1) return UNSUPPORTED;
    if (!fits(p, a, b, d) || c != d) return INVALID;
    *count = most < 2 ? most : 2;
    for (int i = 0; i < *count; ++i) {
        found[i] = Result{};
        found[i].algorithm.data[0] = 40 + i;
        found[i].workspace = i ? 512 : 0;
    }
    return w->workspace < 512 ? UNSUPPORTED : 0;
}

int cublasLtMatmul(void* handle, const Product* p, const float* alpha, const void* a, const Matrix* am,
                   const void* b, const Matrix* bm, const float* beta, const void* c, const Matrix* cm,
                   void* d, const Matrix* dm, const Algorithm* algorithm, void* workspace,
                   size_t size, void* stream) {
    if (!handle || !fits(p, am, bm, dm) || cm != dm) return INVALID;
    if (fault == 2) return FAILED;
    if (algorithm->data[0] == 41) {
        if (size < 512) return INVALID;
        memset(workspace, 1, 512);
    }
    ++calls;
    last_stream = stream;
    const uint64_t k = p->turned_a ? am->rows : am->columns;
    for (int g = 0; g < dm->batch; ++g)
        for (uint64_t j = 0; j < dm->columns; ++j)
            for (uint64_t i = 0; i < dm->rows; ++i) {
                double sum = 0;
                for (uint64_t l = 0; l < k; ++l) {
                    const float x = get(a, am, g * am->stride + (p->turned_a ? i * am->lead + l : l * am->lead + i));
                    const float y = get(b, bm, g * bm->stride + (p->turned_b ? l * bm->lead + j : j * bm->lead + l));
                    sum += (double)x * y;
                }
                const uint64_t at = g * dm->stride + j * dm->lead + i;
                double value = *alpha * sum;
                if (*beta != 0) value += *beta * get(c, cm, at);
                if (p->epilogue & 4) value += p->bias[i];
                if ((p->epilogue & 2) && value < 0) value = 0;
                put(d, dm, at, (float)(fault == 3 ? value * 1.001 + 0.001 : value));
            }
    return 0;
}
}
