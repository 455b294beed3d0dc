// Gradients of weights, added in float32 to what is there. Every value is summed in one order, whatever the number of
// threads. Of a linear layer:
//
//     total [width, depth] += gradient^T [width, rows] values [rows, depth]
//
// Both inputs lie row after row, the best order for a product that sums over rows: a tile of the total stays in
// registers, and some rows of a panel of each input in the nearest cache.
//
//     values,   some rows:  | 48 columns | 48 columns | ...      a panel each, one behind the other
//     gradient, some rows:  | 8 | 8 | ...
#include <omp.h>

#include "arrays.h"
#include "rows.h"
#include "small_product.h"

namespace {

constexpr int64_t PANEL = TILE_VECTORS * LANES, STEPS_AT_ONCE = 128;
static_assert(PANEL % TILE_ROWS == 0, "a panel is cut into whole tiles");

// A step of the sum is one row.
template <class T> struct Singles {
    typedef T Value;
    static constexpr int64_t ROWS = 1;
    static void pack(const T *from, int64_t, bool, int64_t count, float *to) {
        for (int64_t column = 0; column < count; column++) to[column] = widen(from[column]);
    }
    static Floats add(Floats sum, float a, Floats b) { return sum + splat(a) * b; }
};

#if defined(__AVX512BF16__)
// It is two rows: what looks like a float holds two values of bfloat16, as the processor multiplies them.
struct Pairs {
    typedef bfloat16 Value;
    static constexpr int64_t ROWS = 2;
    static void pack(const bfloat16 *from, int64_t stride, bool second, int64_t count, float *to) {
        uint32_t pairs[PANEL];
        for (int64_t column = 0; column < count; column++)
            pairs[column] = from[column].bits | (second ? static_cast<uint32_t>(from[stride + column].bits) << 16 : 0);
        std::memcpy(to, pairs, count * sizeof(float));
    }
    static Floats add(Floats sum, float a, Floats b) {
        return (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_ps(a), (__m512bh)b);
    }
};
#else
typedef Singles<bfloat16> Pairs;
#endif

// Columns `first` to `end` of some rows as pieces [steps, WIDTH], zero beyond the end.
template <class Step, int64_t WIDTH>
void pack(const typename Step::Value *from, int64_t stride, int64_t rows, int64_t first, int64_t end, float *to) {
    const int64_t steps = (rows + Step::ROWS - 1) / Step::ROWS;
    for (int64_t column = first; column < end; column += PANEL, to += PANEL * steps)
        for (int64_t step = 0; step < steps; step++) {
            const typename Step::Value *row = from + step * Step::ROWS * stride + column;
            const bool whole = (step + 1) * Step::ROWS <= rows;
            float panel[PANEL];
            if (whole && column + PANEL <= end) {
                Step::pack(row, stride, true, PANEL, panel);
            } else {
                std::fill(panel, panel + PANEL, 0.f);
                Step::pack(row, stride, whole, std::min(PANEL, end - column), panel);
            }
            for (int64_t piece = 0; piece < PANEL / WIDTH && column + piece * WIDTH < end; piece++)
                std::memcpy(to + (piece * steps + step) * WIDTH, panel + piece * WIDTH, WIDTH * sizeof(float));
        }
}

// Of a tile at the edge of the total, only `rows` and `columns` exist.
template <class Step, int VECTORS, bool WHOLE>
void add_tile(int64_t steps, const float *gradient, const float *values, float *total, int64_t depth, int64_t rows,
              int64_t columns) {
    Floats sums[TILE_ROWS][VECTORS];
    for (int row = 0; row < TILE_ROWS; row++)
        for (int vector = 0; vector < VECTORS; vector++) {
            const float *from = total + row * depth + vector * LANES;
            sums[row][vector] = WHOLE ? load(from) : row < rows ? load(from, columns - vector * LANES) : splat(0.f);
        }
    for (int64_t step = 0; step < steps; step++) {
        Floats factors[VECTORS];
        for (int vector = 0; vector < VECTORS; vector++) factors[vector] = load(values + step * PANEL + vector * LANES);
        for (int row = 0; row < TILE_ROWS; row++)
            for (int vector = 0; vector < VECTORS; vector++)
                sums[row][vector] = Step::add(sums[row][vector], gradient[step * TILE_ROWS + row], factors[vector]);
    }
    for (int row = 0; row < TILE_ROWS; row++)
        for (int vector = 0; vector < VECTORS; vector++) {
            float *to = total + row * depth + vector * LANES;
            if (WHOLE)
                store(to, sums[row][vector]);
            else if (row < rows)
                store(to, sums[row][vector], columns - vector * LANES);
        }
}

template <class Step> void add_product(const Arrays &arrays) {
    typedef typename Step::Value T;
    const int64_t rows = arrays.rows(0), depth = arrays.width(0), width = arrays.width(1);
    const T *values = arrays.at<T>(0), *gradient = arrays.at<T>(1);
    float *total = arrays.at<float>(2);
    const int64_t tiles = (width + TILE_ROWS - 1) / TILE_ROWS, panels = (depth + PANEL - 1) / PANEL;
#pragma omp parallel if (rows * (width + depth) > VALUES_OF_A_THREAD)
    {
        const int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
        const int64_t begin = tiles * thread / threads, end = tiles * (thread + 1) / threads;
        const int64_t first = begin * TILE_ROWS, last = std::min(width, end * TILE_ROWS);
        std::vector<float> of_values(panels * PANEL * STEPS_AT_ONCE);
        std::vector<float> of_gradient((end - begin) * TILE_ROWS * STEPS_AT_ONCE);
        for (int64_t row = 0; row < rows && begin < end; row += STEPS_AT_ONCE * Step::ROWS) {
            const int64_t some = std::min(STEPS_AT_ONCE * Step::ROWS, rows - row);
            const int64_t steps = (some + Step::ROWS - 1) / Step::ROWS;
            pack<Step, PANEL>(values + row * depth, depth, some, 0, depth, of_values.data());
            pack<Step, TILE_ROWS>(gradient + row * width, width, some, first, last, of_gradient.data());
            for (int64_t column = 0; column < depth; column += PANEL)
                for (int64_t place = first; place < last; place += TILE_ROWS) {
                    const float *panel = of_values.data() + column * steps;
                    const float *tile = of_gradient.data() + (place - first) * steps;
                    float *to = total + place * depth + column;
                    const int64_t below = last - place, right = depth - column;
                    if (below < TILE_ROWS || (right < PANEL && right % LANES))
                        add_tile<Step, TILE_VECTORS, false>(steps, tile, panel, to, depth, below, right);
                    else if (right >= PANEL)
                        add_tile<Step, TILE_VECTORS, true>(steps, tile, panel, to, depth, below, right);
                    else if (right == LANES)
                        add_tile<Step, 1, true>(steps, tile, panel, to, depth, below, right);
                    else
                        add_tile<Step, 2, true>(steps, tile, panel, to, depth, below, right);
                }
        }
    }
}

}  // namespace

// values [rows, depth], gradient [rows, width], of one type -> total float32 [width, depth], to which is added
KERNEL(weight_gradient) {
    const Arrays arrays = ARRAYS;
    if (count != 3) return WRONG_COUNT;
    if (!arrays.is_matrix(0) || !arrays.is_matrix(1)) return WRONG_SHAPE;
    const int64_t rows = arrays.rows(0);
    if (const int status = arrays.check({{0, FLOAT_OR_BFLOAT16, rows * arrays.width(0)},
                                         {1, AS_FIRST, rows * arrays.width(1)},
                                         {2, FLOAT32, arrays.width(0) * arrays.width(1)}}))
        return status;
    if (arrays.is(0, "float32"))
        add_product<Singles<float>>(arrays);
    else
        add_product<Pairs>(arrays);
    return FITS;
}

// Of a table of embeddings: ids int64 [rows], gradient [rows, width] -> total float32 [entries, width], to whose rows
// those of the gradient are added
KERNEL(embedding_gradient) {
    const Arrays arrays = ARRAYS;
    if (count != 3) return WRONG_COUNT;
    if (!arrays.is_matrix(1) || !arrays.is_matrix(2)) return WRONG_SHAPE;
    const int64_t rows = arrays.rows(1), width = arrays.width(1), entries = arrays.rows(2);
    if (const int status = arrays.check(
            {{0, INT64, rows}, {1, FLOAT_OR_BFLOAT16, rows * width}, {2, FLOAT32, entries * width}}))
        return status;
    const int64_t *ids = arrays.at<int64_t>(0);
    for (int64_t row = 0; row < rows; row++)
        if (ids[row] < 0 || ids[row] >= entries) return WRONG_SHAPE;
    return with_type(arrays, 1, [&](auto kind) {
        typedef decltype(kind) T;
        const T *gradient = arrays.at<T>(1);
        float *total = arrays.at<float>(2);
        // Rows may meet in one entry; columns do not.
        const int64_t vectors = (width + LANES - 1) / LANES;
#pragma omp parallel if (rows * width > VALUES_OF_A_THREAD)
        {
            const int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
            const int64_t first = vectors * thread / threads * LANES;
            const int64_t last = std::min(width, vectors * (thread + 1) / threads * LANES);
            for (int64_t row = 0; row < rows; row++)
                for (int64_t column = first; column < last; column += LANES)
                    accumulate(total + ids[row] * width + column,
                               load(gradient + row * width + column, last - column), last - column);
        }
        return FITS;
    });
}
