// Products of small matrices that lie in a core's cache: C [rows, width] (+)= A [rows, depth] B [depth, width].
#pragma once

#include <cstdint>

#include "vectors.h"

// How many registers hold a piece of C: ROWS * VECTORS, and as many more for a row of B.
#if defined(__AVX512F__)
constexpr int TILE_ROWS = 8, TILE_VECTORS = 3;
#elif defined(__AVX2__)
constexpr int TILE_ROWS = 4, TILE_VECTORS = 2;
#else
constexpr int TILE_ROWS = 4, TILE_VECTORS = 2;
#endif

template <bool ADDS, int ROWS, int VECTORS>
static inline void tile(int64_t depth, const float *a, int64_t a_row, int64_t a_column, const float *b, int64_t b_row,
                        float *c, int64_t c_row) {
    Floats sums[ROWS][VECTORS];
    for (int row = 0; row < ROWS; row++)
        for (int vector = 0; vector < VECTORS; vector++)
            sums[row][vector] = ADDS ? load(c + row * c_row + vector * LANES) : splat(0.f);
    for (int64_t index = 0; index < depth; index++) {
        Floats factors[VECTORS];
        for (int vector = 0; vector < VECTORS; vector++) factors[vector] = load(b + index * b_row + vector * LANES);
        for (int row = 0; row < ROWS; row++) {
            const Floats factor = splat(a[row * a_row + index * a_column]);
            for (int vector = 0; vector < VECTORS; vector++) sums[row][vector] += factor * factors[vector];
        }
    }
    for (int row = 0; row < ROWS; row++)
        for (int vector = 0; vector < VECTORS; vector++) store(c + row * c_row + vector * LANES, sums[row][vector]);
}

template <bool ADDS, int ROWS>
static inline void tile_row(int64_t width, int64_t depth, const float *a, int64_t a_row, int64_t a_column,
                            const float *b, int64_t b_row, float *c, int64_t c_row) {
    int64_t column = 0;
    for (; column + TILE_VECTORS * LANES <= width; column += TILE_VECTORS * LANES)
        tile<ADDS, ROWS, TILE_VECTORS>(depth, a, a_row, a_column, b + column, b_row, c + column, c_row);
    for (; column + 2 * LANES <= width; column += 2 * LANES)
        tile<ADDS, ROWS, 2>(depth, a, a_row, a_column, b + column, b_row, c + column, c_row);
    for (; column < width; column += LANES)
        tile<ADDS, ROWS, 1>(depth, a, a_row, a_column, b + column, b_row, c + column, c_row);
}

// `width` is a multiple of LANES; A may be transposed: its element (i, k) lies at a[i * a_row + k * a_column].
template <bool ADDS>
static inline void small_product(int64_t rows, int64_t width, int64_t depth, const float *a, int64_t a_row,
                                 int64_t a_column, const float *b, int64_t b_row, float *c, int64_t c_row) {
    int64_t row = 0;
    for (; row + TILE_ROWS <= rows; row += TILE_ROWS)
        tile_row<ADDS, TILE_ROWS>(width, depth, a + row * a_row, a_row, a_column, b, b_row, c + row * c_row, c_row);
    for (; row + 4 <= rows; row += 4)
        tile_row<ADDS, 4>(width, depth, a + row * a_row, a_row, a_column, b, b_row, c + row * c_row, c_row);
    for (; row < rows; row++)
        tile_row<ADDS, 1>(width, depth, a + row * a_row, a_row, a_column, b, b_row, c + row * c_row, c_row);
}
