// Work over the rows of a matrix, whose results do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "vectors.h"

// A thread pays only for more work than this, in values.
constexpr int64_t VALUES_OF_A_THREAD = 16384;

// Sums over the rows of a matrix are taken block by block, and then over the blocks in their order:
//
//     rows 0 to 31    -> partial sums [width]
//     rows 32 to 63   -> partial sums [width]     -> sums [width]
//     ...
constexpr int64_t ROWS_OF_A_BLOCK = 32;

class ColumnSums {
  public:
    ColumnSums(int64_t rows, int64_t width)
        : width_(width), blocks_((rows + ROWS_OF_A_BLOCK - 1) / ROWS_OF_A_BLOCK), partial_(blocks_ * width, 0.f) {}

    int64_t blocks() const { return blocks_; }
    float *of_block(int64_t block) { return partial_.data() + block * width_; }
    std::vector<float> total() const {
        std::vector<float> sums(width_, 0.f);
        for (int64_t block = 0; block < blocks_; block++)
            for (int64_t column = 0; column < width_; column++) sums[column] += partial_[block * width_ + column];
        return sums;
    }

  private:
    int64_t width_, blocks_;
    std::vector<float> partial_;
};

// Calls body(column, count) for vector after vector of a row; `count` is LANES, known to the compiler, but for the last.
template <class Body> static inline void each_vector(int64_t width, Body body) {
    int64_t column = 0;
    for (; column + LANES <= width; column += LANES) body(column, std::integral_constant<int64_t, LANES>{});
    if (column < width) body(column, width - column);
}

// Adds to `to`, which holds float32.
static inline void accumulate(float *to, Floats values, int64_t count) {
    store(to, load(to, count) + values, count);
}
