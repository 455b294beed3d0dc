// AdamW (Loshchilov and Hutter, arXiv 1711.05101) over flat float32 values, by the formulas of torch.optim.AdamW.
#include <cmath>

#include "arrays.h"
#include "rows.h"

namespace {

constexpr int64_t BLOCK = 4096;

}

// gradient [size] -> float64 [1], the sum of its squares: of each block in float32, over blocks in float64
KERNEL(sum_of_squares) {
    const Arrays arrays = ARRAYS;
    if (count != 2) return WRONG_COUNT;
    if (const int status = arrays.check({{0, FLOAT32, arrays.size(0)}, {1, FLOAT64, 1}})) return status;
    const int64_t size = arrays.size(0), blocks = (size + BLOCK - 1) / BLOCK;
    const float *values = arrays.at<float>(0);
    std::vector<double> sums(blocks);
#pragma omp parallel for schedule(static) if (size > VALUES_OF_A_THREAD)
    for (int64_t block = 0; block < blocks; block++) {
        Floats total = splat(0.f), other = splat(0.f);
        const int64_t end = std::min(size, (block + 1) * BLOCK);
        int64_t index = block * BLOCK;
        for (; index + 2 * LANES <= end; index += 2 * LANES) {
            const Floats first = load(values + index), second = load(values + index + LANES);
            total += first * first;
            other += second * second;
        }
        for (; index < end; index += LANES) {
            const Floats rest = load(values + index, end - index);
            total += rest * rest;
        }
        sums[block] = sum(total + other);
    }
    double all = 0;
    for (const double of_block : sums) all += of_block;
    arrays.at<double>(1)[0] = all;
    return FITS;
}

// parameters, first_moment, second_moment, gradient float32 [size], copy bfloat16 [size] or absent,
// constants float64 [8]: learning rate, weight decay, beta1, beta2, eps, updates with this one, factor of the gradient,
// and whether the gradient is left at zero
//
// All of them are changed in place; there is no output.
KERNEL(adamw) {
    const Arrays arrays = ARRAYS;
    if (count != 6) return WRONG_COUNT;
    const int64_t size = arrays.size(0);
    if (const int status = arrays.check({{0, FLOAT32, size},
                                         {1, FLOAT32, size},
                                         {2, FLOAT32, size},
                                         {3, FLOAT32, size},
                                         {4, BFLOAT16, size, true},
                                         {5, FLOAT64, 8}}))
        return status;
    const double *constants = arrays.at<double>(5);
    const double rate = constants[0], beta1 = constants[2], beta2 = constants[3], updates = constants[5];
    const float decay = static_cast<float>(1 - rate * constants[1]), eps = static_cast<float>(constants[4]);
    const float step = static_cast<float>(rate / (1 - std::pow(beta1, updates)));
    const float inverse_root = static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, updates)));
    const float first_rest = static_cast<float>(1 - beta1), second_rest = static_cast<float>(1 - beta2),
                second_kept = static_cast<float>(beta2), factor = static_cast<float>(constants[6]);
    const bool clears = constants[7] != 0, copies = size == arrays.size(4) && arrays.is(4, "bfloat16");
    float *parameters = arrays.at<float>(0), *first = arrays.at<float>(1), *second = arrays.at<float>(2),
          *gradient = arrays.at<float>(3);
    bfloat16 *copy = arrays.at<bfloat16>(4);
    const int64_t blocks = (size + BLOCK - 1) / BLOCK;
#pragma omp parallel for schedule(static) if (size > VALUES_OF_A_THREAD)
    for (int64_t block = 0; block < blocks; block++) {
        const int64_t first_index = block * BLOCK;
        each_vector(std::min(BLOCK, size - first_index), [&](int64_t column, auto left) {
            const int64_t index = first_index + column;
            const Floats slope = load(gradient + index, left) * factor;
            Floats moment = load(first + index, left), square = load(second + index, left);
            moment += (slope - moment) * first_rest;
            square = square * second_kept + slope * slope * second_rest;
            Floats root;
            for (int lane = 0; lane < LANES; lane++) root[lane] = std::sqrt(square[lane]);
            const Floats value = load(parameters + index, left) * decay - moment / (root * inverse_root + eps) * step;
            store(parameters + index, value, left);
            store(first + index, moment, left);
            store(second + index, square, left);
            if (clears) store(gradient + index, splat(0.f), left);
            if (copies) store(copy + index, value, left);
        });
    }
    return FITS;
}
