// LayerNorm (Ba et al., arXiv 1607.06450) of a residual and a branch of which values are dropped:
//
//     sum = (values + bias) * keep * keep_scale + residual        mean, inverse deviation: of each row of the sum
//     output = (sum - mean) * inverse * weight + shift
#include "arrays.h"
#include "rows.h"

// values [rows, width], bias [width] or absent, keep uint8 [rows, width] or absent, residual [rows, width] or absent,
// weight [width], shift [width], constants float32 [2]: eps, keep_scale
// -> output, sum [rows, width], mean, inverse float32 [rows]
KERNEL(add_norm_forward) {
    const Arrays arrays = ARRAYS;
    if (count != 11) return WRONG_COUNT;
    if (!arrays.is_matrix(0)) return WRONG_SHAPE;
    const int64_t rows = arrays.rows(0), width = arrays.width(0), size = rows * width;
    if (const int status = arrays.check({{1, FLOAT_OR_BFLOAT16, width, true},
                                         {2, BYTES, size, true},
                                         {3, AS_FIRST, size, true},
                                         {4, FLOAT_OR_BFLOAT16, width},
                                         {5, FLOAT_OR_BFLOAT16, width},
                                         {6, FLOAT32, 2},
                                         {7, AS_FIRST, size},
                                         {8, AS_FIRST, size},
                                         {9, FLOAT32, rows},
                                         {10, FLOAT32, rows}}))
        return status;
    const std::vector<float> bias = arrays.floats(1, width), weight = arrays.floats(4, width),
                             shift = arrays.floats(5, width);
    const bool biased = arrays.size(1) == width, dropped = arrays.present(2), added = arrays.present(3);
    const float eps = arrays.at<float>(6)[0], scale = arrays.at<float>(6)[1];
    return with_type(arrays, 0, [&](auto kind) {
        typedef decltype(kind) T;
        const T *values = arrays.at<T>(0), *residual = arrays.at<T>(3);
        const uint8_t *keep = arrays.at<uint8_t>(2);
        T *output = arrays.at<T>(7), *sums = arrays.at<T>(8);
        float *means = arrays.at<float>(9), *inverses = arrays.at<float>(10);
#pragma omp parallel if (rows * width > VALUES_OF_A_THREAD)
        {
            std::vector<float> exact(width + LANES);
#pragma omp for schedule(static)
            for (int64_t row = 0; row < rows; row++) {
                const int64_t start = row * width;
                Floats total = splat(0.f);
                each_vector(width, [&](int64_t column, auto left) {
                    const int64_t at = start + column;
                    Floats value = load(values + at, left);
                    if (biased) value += load(bias.data() + column, left);
                    if (dropped) value *= load_kept(keep + at, scale, left);
                    if (added) value += load(residual + at, left);
                    store(exact.data() + column, value);
                    store(sums + at, value, left);
                    total += value;
                });
                const float mean = sum(total) / width;
                Floats squares = splat(0.f);
                each_vector(width, [&](int64_t column, auto left) {
                    Floats centred = load(exact.data() + column) - mean;
                    for (int64_t lane = left; lane < LANES; lane++) centred[lane] = 0.f;
                    squares += centred * centred;
                });
                const float inverse = 1.f / std::sqrt(sum(squares) / width + eps);
                each_vector(width, [&](int64_t column, auto left) {
                    const Floats normalized = (load(exact.data() + column) - mean) * inverse;
                    store(output + start + column,
                          normalized * load(weight.data() + column, left) + load(shift.data() + column, left), left);
                });
                means[row] = mean;
                inverses[row] = inverse;
            }
        }
        return FITS;
    });
}

// sum [rows, width], mean, inverse float32 [rows], keep as above, weight [width], constants as above,
// gradient [rows, width]
// -> of the values, of the residual [rows, width], of the bias, the weight and the shift [width]
//
// Where nothing was dropped, the first two are equal, and so are written both.
KERNEL(add_norm_backward) {
    const Arrays arrays = ARRAYS;
    if (count != 12) return WRONG_COUNT;
    if (!arrays.is_matrix(0)) return WRONG_SHAPE;
    const int64_t rows = arrays.rows(0), width = arrays.width(0), size = rows * width;
    if (const int status = arrays.check({{1, FLOAT32, rows},
                                         {2, FLOAT32, rows},
                                         {3, BYTES, size, true},
                                         {4, FLOAT_OR_BFLOAT16, width},
                                         {5, FLOAT32, 2},
                                         {6, AS_FIRST, size},
                                         {7, AS_FIRST, size},
                                         {8, AS_FIRST, size},
                                         {9, FLOAT_OR_BFLOAT16, width},
                                         {10, FLOAT_OR_BFLOAT16, width},
                                         {11, FLOAT_OR_BFLOAT16, width}}))
        return status;
    const std::vector<float> weight = arrays.floats(4, width);
    const bool dropped = arrays.present(3);
    const float scale = arrays.at<float>(5)[1];
    ColumnSums of_bias(rows, width), of_weight(rows, width), of_shift(rows, width);
    const int status = with_type(arrays, 0, [&](auto kind) {
        typedef decltype(kind) T;
        const T *sums = arrays.at<T>(0), *gradient = arrays.at<T>(6);
        const float *means = arrays.at<float>(1), *inverses = arrays.at<float>(2);
        const uint8_t *keep = arrays.at<uint8_t>(3);
        T *of_values = arrays.at<T>(7), *of_residual = arrays.at<T>(8);
#pragma omp parallel for schedule(static) if (rows * width > VALUES_OF_A_THREAD)
        for (int64_t block = 0; block < of_bias.blocks(); block++) {
            float *bias_sums = of_bias.of_block(block), *weight_sums = of_weight.of_block(block),
                  *shift_sums = of_shift.of_block(block);
            const int64_t end = std::min(rows, (block + 1) * ROWS_OF_A_BLOCK);
            for (int64_t row = block * ROWS_OF_A_BLOCK; row < end; row++) {
                const int64_t start = row * width;
                const float mean = means[row], inverse = inverses[row];
                Floats inner_sum = splat(0.f), slope_sum = splat(0.f);
                each_vector(width, [&](int64_t column, auto left) {
                    const int64_t at = start + column;
                    const Floats above = load(gradient + at, left);  // zero behind the row
                    const Floats normalized = (load(sums + at, left) - mean) * inverse;
                    const Floats inner = above * load(weight.data() + column, left);
                    inner_sum += inner;
                    slope_sum += inner * normalized;
                    accumulate(weight_sums + column, above * normalized, left);
                    accumulate(shift_sums + column, above, left);
                });
                const float inner_mean = sum(inner_sum) / width, slope = sum(slope_sum) / width;
                each_vector(width, [&](int64_t column, auto left) {
                    const int64_t at = start + column;
                    const Floats normalized = (load(sums + at, left) - mean) * inverse;
                    const Floats inner = load(gradient + at, left) * load(weight.data() + column, left);
                    const Floats result = (inner - inner_mean - normalized * slope) * inverse;
                    store(of_residual + at, result, left);
                    const Floats branch = dropped ? result * load_kept(keep + at, scale, left) : result;
                    store(of_values + at, branch, left);
                    accumulate(bias_sums + column, branch, left);
                });
            }
        }
        return FITS;
    });
    if (status != FITS) return status;
    arrays.set_floats(9, of_bias.total().data(), width);
    arrays.set_floats(10, of_weight.total().data(), width);
    arrays.set_floats(11, of_shift.total().data(), width);
    return FITS;
}
