// GeLU (Hendrycks and Gimpel, arXiv 1606.08415) in its exact form, x Phi(x), of values and a bias.
#include "arrays.h"
#include "normal.h"
#include "rows.h"

// values [rows, width], bias [width] or absent -> output [rows, width]
KERNEL(gelu_forward) {
    const Arrays arrays = ARRAYS;
    if (count != 3) return WRONG_COUNT;
    if (!arrays.is_matrix(0)) return WRONG_SHAPE;
    const int64_t rows = arrays.rows(0), width = arrays.width(0);
    if (const int status = arrays.check({{1, FLOAT_OR_BFLOAT16, width, true}, {2, AS_FIRST, rows * width}})) return status;
    const std::vector<float> bias = arrays.floats(1, width);
    return with_type(arrays, 0, [&](auto kind) {
        typedef decltype(kind) T;
        const T *values = arrays.at<T>(0);
        T *output = arrays.at<T>(2);
#pragma omp parallel for schedule(static) if (rows * width > VALUES_OF_A_THREAD)
        for (int64_t row = 0; row < rows; row++)
            each_vector(width, [&](int64_t column, auto left) {
                const int64_t at = row * width + column;
                const Floats value = load(values + at, left) + load(bias.data() + column, left);
                store(output + at, value * normal(value).distribution, left);
            });
        return FITS;
    });
}

// values [rows, width], bias [width] or absent, gradient [rows, width] -> of the values, of the bias [width]
KERNEL(gelu_backward) {
    const Arrays arrays = ARRAYS;
    if (count != 5) return WRONG_COUNT;
    if (!arrays.is_matrix(0)) return WRONG_SHAPE;
    const int64_t rows = arrays.rows(0), width = arrays.width(0);
    if (const int wrong = arrays.check({{1, FLOAT_OR_BFLOAT16, width, true},
                                        {2, AS_FIRST, rows * width},
                                        {3, AS_FIRST, rows * width},
                                        {4, FLOAT_OR_BFLOAT16, width, true}}))
        return wrong;
    const std::vector<float> bias = arrays.floats(1, width);
    ColumnSums of_bias(rows, width);
    const int status = with_type(arrays, 0, [&](auto kind) {
        typedef decltype(kind) T;
        const T *values = arrays.at<T>(0), *gradient = arrays.at<T>(2);
        T *of_values = arrays.at<T>(3);
#pragma omp parallel for schedule(static) if (rows * width > VALUES_OF_A_THREAD)
        for (int64_t block = 0; block < of_bias.blocks(); block++) {
            float *sums = of_bias.of_block(block);
            const int64_t end = std::min(rows, (block + 1) * ROWS_OF_A_BLOCK);
            for (int64_t row = block * ROWS_OF_A_BLOCK; row < end; row++)
                each_vector(width, [&](int64_t column, auto left) {
                    const int64_t at = row * width + column;
                    const Floats value = load(values + at, left) + load(bias.data() + column, left);
                    const Normal of_value = normal(value);
                    const Floats slope = of_value.distribution + value * of_value.density;
                    const Floats result = load(gradient + at, left) * slope;
                    store(of_values + at, result, left);
                    accumulate(sums + column, result, left);
                });
        }
        return FITS;
    });
    if (status == FITS) arrays.set_floats(4, of_bias.total().data(), arrays.size(4));
    return status;
}
