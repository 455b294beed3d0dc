// Self-attention (Vaswani et al. 2017, arXiv 1706.03762, section 3.2) over rows that lie one behind the other, with
// given dropout masks. One task is one head of one row; its scores are computed for some queries at a time, so that they
// stay in a core's cache, and are computed anew on the way back, from the logarithm of the sum that softmax divides by
// (Dao et al. 2022, arXiv 2205.14135).
//
// With the mask m of 0 and 1, the scale s of what is kept, and d for a gradient:
//
//     S = Q K^T / sqrt(size)        dQ = dS K / sqrt(size)      dK = dS^T Q / sqrt(size)
//     P = softmax(S)                dS = P * (dP - sum(P * dP))
//     D = P * m * s                 dP = dD * m * s
//     C = D V                       dD = dC V^T                 dV = D^T dC
//
// A row of the table of rows, int64 [rows, 5], says where its tokens and its part of the mask lie:
//
//     first token | tokens | first byte of the mask | bytes from head to head | bytes from query to query
#include "arrays.h"
#include "head.h"
#include "rows.h"

namespace {

struct Row {
    int64_t first, tokens, mask, mask_head, mask_query;
};

struct Shape {
    int64_t tokens, hidden, heads, size, rows;
    const Row *row;
    float root() const { return 1.f / std::sqrt(static_cast<float>(size)); }
};

// What one thread works with; the largest row decides about its size.
struct Scratch {
    std::vector<float> query, key, value, key_columns, value_columns, scores, slopes, dropped, above, of_key, of_value, bias;

    Scratch(const Shape &shape, bool backward) {
        int64_t longest = 0;
        for (int64_t row = 0; row < shape.rows; row++) longest = std::max(longest, shape.row[row].tokens);
        const int64_t width = padded(shape.size), length = padded(longest), all = longest * width;
        query.resize(QUERIES * width);
        key.resize(all);
        value.resize(all);
        key_columns.resize(shape.size * length);
        scores.resize(QUERIES * length);
        bias.resize(3 * width);
        if (!backward) return;
        value_columns.resize(shape.size * length);
        slopes.resize(QUERIES * length);
        dropped.resize(QUERIES * length);
        above.resize(QUERIES * width);
        of_key.resize(all);
        of_value.resize(all);
    }
};

// The same from the known logarithms.
void softmax_again(float *scores, int64_t queries, int64_t tokens, const float *log_sums) {
    const int64_t length = padded(tokens);
    for (int64_t query = 0; query < queries; query++) {
        float *of_query = scores + query * length;
        for (int64_t token = tokens; token < length; token++) of_query[token] = -INFINITY;
        for (int64_t token = 0; token < length; token += LANES)
            store(of_query + token, exponential(load(of_query + token) - log_sums[query]));
    }
}

bool covers_all(const Shape &shape) {
    int64_t covered = 0;
    for (int64_t row = 0; row < shape.rows; row++) covered += shape.row[row].tokens;
    return covered == shape.tokens;
}

int read_shape(const Arrays &arrays, int64_t heads, Shape &shape) {
    if (!arrays.is_matrix(0) || !arrays.is_matrix(2) || arrays.width(2) != 5 || heads < 1) return WRONG_SHAPE;
    if (!arrays.holds(2, INT64) || (arrays.present(3) && !arrays.holds(3, BYTES))) return WRONG_TYPE;
    shape = {arrays.rows(0), arrays.width(0) / 3, heads, arrays.width(0) / 3 / heads, arrays.rows(2), arrays.at<Row>(2)};
    if (3 * shape.heads * shape.size != arrays.width(0)) return WRONG_SHAPE;
    for (int64_t index = 0; index < shape.rows; index++) {
        const Row &row = shape.row[index];
        if (row.tokens < 0 || row.first < 0 || row.first + row.tokens > shape.tokens) return WRONG_SHAPE;
        if (!arrays.present(3) || row.tokens == 0) continue;
        const int64_t last = row.mask + (heads - 1) * row.mask_head + (row.tokens - 1) * row.mask_query + row.tokens;
        if (row.mask < 0 || row.mask_head < 0 || row.mask_query < 0 || last > arrays.size(3)) return WRONG_SHAPE;
    }
    return FITS;
}

template <class T>
void bias_of_head(const std::vector<float> &bias, const Shape &shape, int64_t head, Scratch &scratch) {
    const int64_t width = padded(shape.size);
    for (int64_t part = 0; part < 3; part++)
        std::memcpy(scratch.bias.data() + part * width, bias.data() + part * shape.hidden + head * shape.size,
                    shape.size * sizeof(float));
}

template <class T>
void forward_head(const Arrays &arrays, const Shape &shape, const std::vector<float> &bias, const Row &row, int64_t head,
                  float scale, Scratch &scratch) {
    const int64_t width = padded(shape.size), length = padded(row.tokens), stride = 3 * shape.hidden;
    const T *query = arrays.at<T>(0) + row.first * stride + head * shape.size, *key = query + shape.hidden,
            *value = key + shape.hidden;
    T *context = arrays.at<T>(5) + row.first * shape.hidden + head * shape.size;
    float *log_sums = arrays.at<float>(6) + (head * shape.tokens + row.first);
    const uint8_t *keep = arrays.at<uint8_t>(3) + row.mask + head * row.mask_head;
    const bool dropped = arrays.present(3);
    bias_of_head<T>(bias, shape, head, scratch);
    copy_head(key, stride, row.tokens, shape.size, scratch.bias.data() + width, 1.f, scratch.key.data());
    copy_head(value, stride, row.tokens, shape.size, scratch.bias.data() + 2 * width, 1.f, scratch.value.data());
    transpose(scratch.key.data(), row.tokens, shape.size, scratch.key_columns.data());
    for (int64_t first = 0; first < row.tokens; first += QUERIES) {
        const int64_t queries = std::min(QUERIES, row.tokens - first);
        copy_head(query + first * stride, stride, queries, shape.size, scratch.bias.data(), shape.root(),
                  scratch.query.data());
        float *scores = scratch.scores.data();
        small_product<false>(queries, length, shape.size, scratch.query.data(), width, 1, scratch.key_columns.data(),
                             length, scores, length);
        softmax(scores, queries, row.tokens, log_sums + first);
        if (dropped)
            for (int64_t index = 0; index < queries; index++)
                for (int64_t token = 0; token < row.tokens; token += LANES) {
                    float *at = scores + index * length + token;
                    store(at, load(at) * load_kept(keep + (first + index) * row.mask_query + token, scale,
                                                   row.tokens - token));
                }
        // The queries have been used: their place takes the context.
        small_product<false>(queries, width, row.tokens, scores, length, 1, scratch.value.data(), width,
                             scratch.query.data(), width);
        for (int64_t index = 0; index < queries; index++)
            for (int64_t column = 0; column < shape.size; column += LANES)
                store(context + (first + index) * shape.hidden + column, load(scratch.query.data() + index * width + column),
                      shape.size - column);
    }
}

template <class T>
void backward_head(const Arrays &arrays, const Shape &shape, const std::vector<float> &bias, const Row &row, int64_t head,
                   float scale, Scratch &scratch) {
    const int64_t width = padded(shape.size), length = padded(row.tokens), stride = 3 * shape.hidden;
    const T *query = arrays.at<T>(0) + row.first * stride + head * shape.size, *key = query + shape.hidden,
            *value = key + shape.hidden;
    const T *gradient = arrays.at<T>(6) + row.first * shape.hidden + head * shape.size;
    T *of_query = arrays.at<T>(7) + row.first * stride + head * shape.size, *of_key = of_query + shape.hidden,
      *of_value = of_key + shape.hidden;
    const float *log_sums = arrays.at<float>(5) + (head * shape.tokens + row.first);
    const uint8_t *keep = arrays.at<uint8_t>(3) + row.mask + head * row.mask_head;
    const bool dropped = arrays.present(3);
    const std::vector<float> none(width, 0.f);
    bias_of_head<T>(bias, shape, head, scratch);
    copy_head(key, stride, row.tokens, shape.size, scratch.bias.data() + width, 1.f, scratch.key.data());
    copy_head(value, stride, row.tokens, shape.size, scratch.bias.data() + 2 * width, 1.f, scratch.value.data());
    transpose(scratch.key.data(), row.tokens, shape.size, scratch.key_columns.data());
    transpose(scratch.value.data(), row.tokens, shape.size, scratch.value_columns.data());
    std::fill(scratch.of_key.begin(), scratch.of_key.begin() + row.tokens * width, 0.f);
    std::fill(scratch.of_value.begin(), scratch.of_value.begin() + row.tokens * width, 0.f);
    float *scores = scratch.scores.data(), *slopes = scratch.slopes.data(), *kept = scratch.dropped.data();
    for (int64_t first = 0; first < row.tokens; first += QUERIES) {
        const int64_t queries = std::min(QUERIES, row.tokens - first);
        copy_head(query + first * stride, stride, queries, shape.size, scratch.bias.data(), shape.root(),
                  scratch.query.data());
        copy_head(gradient + first * shape.hidden, shape.hidden, queries, shape.size, none.data(), 1.f,
                  scratch.above.data());
        small_product<false>(queries, length, shape.size, scratch.query.data(), width, 1, scratch.key_columns.data(),
                             length, scores, length);
        softmax_again(scores, queries, row.tokens, log_sums + first);
        small_product<false>(queries, length, shape.size, scratch.above.data(), width, 1,
                             scratch.value_columns.data(), length, slopes, length);
        for (int64_t index = 0; index < queries; index++) {
            const uint8_t *of_mask = keep + (first + index) * row.mask_query;
            Floats total = splat(0.f);
            for (int64_t token = 0; token < row.tokens; token += LANES) {
                const int64_t at = index * length + token;
                const Floats probability = load(scores + at);
                Floats above = load(slopes + at), left = probability;
                if (dropped) {
                    const Floats mask = load_kept(of_mask + token, scale, row.tokens - token);
                    above *= mask;
                    left *= mask;
                }
                store(slopes + at, above);
                store(kept + at, left);
                total += probability * above;
            }
            const float all = sum(total);
            for (int64_t token = 0; token < row.tokens; token += LANES) {
                const int64_t at = index * length + token;
                store(slopes + at, load(scores + at) * (load(slopes + at) - all));
            }
        }
        // The scale of the scores lies in the queries already; for the gradient of the queries it is still to come.
        small_product<true>(row.tokens, width, queries, slopes, 1, length, scratch.query.data(), width,
                            scratch.of_key.data(), width);
        small_product<true>(row.tokens, width, queries, kept, 1, length, scratch.above.data(), width,
                            scratch.of_value.data(), width);
        small_product<false>(queries, width, row.tokens, slopes, length, 1, scratch.key.data(), width,
                             scratch.query.data(), width);
        for (int64_t index = 0; index < queries; index++)
            for (int64_t column = 0; column < shape.size; column += LANES)
                store(of_query + (first + index) * stride + column,
                      load(scratch.query.data() + index * width + column) * shape.root(), shape.size - column);
    }
    for (int64_t token = 0; token < row.tokens; token++)
        for (int64_t column = 0; column < shape.size; column += LANES) {
            store(of_key + token * stride + column, load(scratch.of_key.data() + token * width + column),
                  shape.size - column);
            store(of_value + token * stride + column, load(scratch.of_value.data() + token * width + column),
                  shape.size - column);
        }
}

}  // namespace

// query, key and value side by side [tokens, 3 hidden], their bias [3 hidden] or absent, the table of rows,
// keep uint8 or absent, constants float32 [2]: number of heads, keep_scale
// -> context [tokens, hidden], log_sums float32 [heads, tokens]; zero for tokens of no row
KERNEL(attention_forward) {
    const Arrays arrays = ARRAYS;
    if (count != 7) return WRONG_COUNT;
    if (const int status = arrays.check({{4, FLOAT32, 2}})) return status;
    Shape shape;
    if (const int status = read_shape(arrays, static_cast<int64_t>(arrays.at<float>(4)[0]), shape)) return status;
    if (const int status = arrays.check({{1, FLOAT_OR_BFLOAT16, 3 * shape.hidden, true},
                                         {5, AS_FIRST, shape.tokens * shape.hidden},
                                         {6, FLOAT32, shape.heads * shape.tokens}}))
        return status;
    const float scale = arrays.at<float>(4)[1];
    const std::vector<float> bias = arrays.floats(1, 3 * shape.hidden);
    return with_type(arrays, 0, [&](auto kind) {
        typedef decltype(kind) T;
        if (!covers_all(shape)) {
            std::memset(arrays.data[5], 0, shape.tokens * shape.hidden * sizeof(T));
            std::memset(arrays.data[6], 0, shape.tokens * shape.heads * sizeof(float));
        }
#pragma omp parallel if (shape.tokens * shape.hidden > VALUES_OF_A_THREAD)
        {
            Scratch scratch(shape, false);
#pragma omp for schedule(dynamic, 1)
            for (int64_t task = 0; task < shape.rows * shape.heads; task++)
                forward_head<T>(arrays, shape, bias, shape.row[task / shape.heads], task % shape.heads, scale, scratch);
        }
        return FITS;
    });
}

// the first five as above, log_sums, gradient [tokens, hidden] -> of the first [tokens, 3 hidden], of the bias [3 hidden]
KERNEL(attention_backward) {
    const Arrays arrays = ARRAYS;
    if (count != 9) return WRONG_COUNT;
    if (const int status = arrays.check({{4, FLOAT32, 2}})) return status;
    Shape shape;
    if (const int status = read_shape(arrays, static_cast<int64_t>(arrays.at<float>(4)[0]), shape)) return status;
    if (const int status = arrays.check({{1, FLOAT_OR_BFLOAT16, 3 * shape.hidden, true},
                                         {5, FLOAT32, shape.heads * shape.tokens},
                                         {6, AS_FIRST, shape.tokens * shape.hidden},
                                         {7, AS_FIRST, arrays.size(0)},
                                         {8, FLOAT_OR_BFLOAT16, 3 * shape.hidden, true}}))
        return status;
    const float scale = arrays.at<float>(4)[1];
    const int64_t width = 3 * shape.hidden;
    const std::vector<float> bias = arrays.floats(1, width);
    ColumnSums of_bias(shape.tokens, width);
    const int status = with_type(arrays, 0, [&](auto kind) {
        typedef decltype(kind) T;
        if (!covers_all(shape)) std::memset(arrays.data[7], 0, shape.tokens * width * sizeof(T));
#pragma omp parallel if (shape.tokens * shape.hidden > VALUES_OF_A_THREAD)
        {
            Scratch scratch(shape, true);
#pragma omp for schedule(dynamic, 1)
            for (int64_t task = 0; task < shape.rows * shape.heads; task++)
                backward_head<T>(arrays, shape, bias, shape.row[task / shape.heads], task % shape.heads, scale, scratch);
        }
        const T *gradient = arrays.at<T>(7);
#pragma omp parallel for schedule(static) if (shape.tokens * width > VALUES_OF_A_THREAD)
        for (int64_t block = 0; block < of_bias.blocks(); block++) {
            const int64_t end = std::min(shape.tokens, (block + 1) * ROWS_OF_A_BLOCK);
            for (int64_t token = block * ROWS_OF_A_BLOCK; token < end; token++)
                for (int64_t column = 0; column < width; column += LANES)
                    accumulate(of_bias.of_block(block) + column, load(gradient + token * width + column, width - column),
                               width - column);
        }
        return FITS;
    });
    if (status == FITS) arrays.set_floats(8, of_bias.total().data(), arrays.size(8));
    return status;
}
