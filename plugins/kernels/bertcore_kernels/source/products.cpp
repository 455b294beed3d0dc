// Products of large matrices for a framework that computes them in float32 alone: oneDNN's, from the library that the
// framework brings, with inputs that may be rounded to bfloat16; sums stay float32.
//
// That library is built for a pool of threads of its caller, and computes on one thread where it is called so. Each
// thread here calls it for a part of the rows of the result.
#include <dlfcn.h>
#include <omp.h>

#include "arrays.h"
#include "rows.h"

namespace {

typedef int (*FloatProduct)(char, char, int64_t, int64_t, int64_t, float, const float *, int64_t, const float *, int64_t,
                            float, float *, int64_t);
typedef int (*HalfProduct)(char, char, int64_t, int64_t, int64_t, float, const bfloat16 *, int64_t, const bfloat16 *,
                           int64_t, float, float *, int64_t);

FloatProduct float_product = nullptr;
HalfProduct half_product = nullptr;

int product(char a, char b, int64_t m, int64_t n, int64_t k, const float *left, int64_t left_row, const float *right,
            int64_t right_row, float *to, int64_t to_row) {
    return float_product(a, b, m, n, k, 1.f, left, left_row, right, right_row, 0.f, to, to_row);
}
int product(char a, char b, int64_t m, int64_t n, int64_t k, const bfloat16 *left, int64_t left_row,
            const bfloat16 *right, int64_t right_row, float *to, int64_t to_row) {
    return half_product(a, b, m, n, k, 1.f, left, left_row, right, right_row, 0.f, to, to_row);
}

// Calls part(first, end) on each thread for its share of `rows`, in multiples of 16.
template <class Part> int shared(int64_t rows, int64_t values, Part part) {
    const int threads = values > VALUES_OF_A_THREAD ? omp_get_max_threads() : 1;
    const int64_t share = ((rows + threads - 1) / threads + 15) / 16 * 16;
    int status = 0;
#pragma omp parallel for schedule(static, 1) num_threads(threads) reduction(| : status)
    for (int thread = 0; thread < threads; thread++) {
        const int64_t first = std::min(rows, thread * share), end = std::min(rows, first + share);
        if (first < end) status |= part(first, end);
    }
    return status ? NO_PRODUCTS : FITS;
}

void round_to(const float *from, int64_t size, std::vector<bfloat16> &to) {
    if (static_cast<int64_t>(to.size()) < size) to.resize(size);
    bfloat16 *place = to.data();
#pragma omp parallel for schedule(static) if (size > VALUES_OF_A_THREAD)
    for (int64_t index = 0; index < size; index += LANES)
        store(place + index, load(from + index, size - index), size - index);
}

// Buffers that a thread keeps, for fresh ones would cost a page fault for every 4096 bytes.
thread_local std::vector<bfloat16> rounded[3];

template <class T>
int forward(const Arrays &arrays, const T *values, const T *weight, int64_t rows, int64_t depth, int64_t width) {
    float *output = arrays.at<float>(3);
    return shared(rows, rows * width, [=](int64_t first, int64_t end) {
        return product('N', 'T', end - first, width, depth, values + first * depth, depth, weight, depth,
                       output + first * width, width);
    });
}

template <class T>
int backward(const Arrays &arrays, const T *values, const T *weight, const T *gradient, int64_t rows, int64_t depth,
             int64_t width) {
    float *of_values = arrays.at<float>(4), *of_weight = arrays.at<float>(5);
    const int status = shared(rows, rows * depth, [=](int64_t first, int64_t end) {
        return product('N', 'N', end - first, depth, width, gradient + first * width, width, weight, depth,
                       of_values + first * depth, depth);
    });
    if (status) return status;
    return shared(width, width * depth, [=](int64_t first, int64_t end) {
        return product('T', 'N', end - first, depth, rows, gradient + first, width, values, depth,
                       of_weight + first * depth, depth);
    });
}

}  // namespace

// Takes the products from a file of oneDNN's; 0 where it has them.
extern "C" int bertcore_use_onednn(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) return NO_PRODUCTS;
    float_product = reinterpret_cast<FloatProduct>(dlsym(library, "dnnl_sgemm"));
    half_product = reinterpret_cast<HalfProduct>(dlsym(library, "dnnl_gemm_bf16bf16f32"));
    return float_product && half_product ? FITS : NO_PRODUCTS;
}

// values [rows, depth], weight [width, depth], constants float32 [2]: whether inputs are rounded to bfloat16, unused
// -> values weight^T [rows, width]
KERNEL(product_forward) {
    const Arrays arrays = ARRAYS;
    if (count != 4) return WRONG_COUNT;
    if (!float_product) return NO_PRODUCTS;
    if (!arrays.is_matrix(0) || !arrays.is_matrix(1)) return WRONG_SHAPE;
    const int64_t rows = arrays.rows(0), depth = arrays.width(0), width = arrays.rows(1);
    if (const int status = arrays.check(
            {{0, FLOAT32, rows * depth}, {1, FLOAT32, width * depth}, {2, FLOAT32, 2}, {3, FLOAT32, rows * width}}))
        return status;
    if (arrays.at<float>(2)[0] == 0) return forward(arrays, arrays.at<float>(0), arrays.at<float>(1), rows, depth, width);
    round_to(arrays.at<float>(0), rows * depth, rounded[0]);
    round_to(arrays.at<float>(1), width * depth, rounded[1]);
    return forward(arrays, rounded[0].data(), rounded[1].data(), rows, depth, width);
}

// values, weight, gradient [rows, width], constants as above -> of the values [rows, depth], of the weight [width, depth]
KERNEL(product_backward) {
    const Arrays arrays = ARRAYS;
    if (count != 6) return WRONG_COUNT;
    if (!float_product) return NO_PRODUCTS;
    if (!arrays.is_matrix(0) || !arrays.is_matrix(1)) return WRONG_SHAPE;
    const int64_t rows = arrays.rows(0), depth = arrays.width(0), width = arrays.rows(1);
    if (const int status = arrays.check({{0, FLOAT32, rows * depth},
                                         {1, FLOAT32, width * depth},
                                         {2, FLOAT32, rows * width},
                                         {3, FLOAT32, 2},
                                         {4, FLOAT32, rows * depth},
                                         {5, FLOAT32, width * depth}}))
        return status;
    if (arrays.at<float>(3)[0] == 0)
        return backward(arrays, arrays.at<float>(0), arrays.at<float>(1), arrays.at<float>(2), rows, depth, width);
    round_to(arrays.at<float>(0), rows * depth, rounded[0]);
    round_to(arrays.at<float>(1), width * depth, rounded[1]);
    round_to(arrays.at<float>(2), rows * width, rounded[2]);
    return backward(arrays, rounded[0].data(), rounded[1].data(), rounded[2].data(), rows, depth, width);
}
