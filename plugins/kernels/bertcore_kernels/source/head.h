// What attention forward, backward and in a whole encoder share: one head of one row.
#pragma once

#include <cmath>
#include <cstdint>

#include "small_product.h"
#include "vectors.h"

// Scores are computed for so many queries at a time, so that they stay in a core's cache.
constexpr int64_t QUERIES = 64;

static inline int64_t padded(int64_t width) { return (width + LANES - 1) / LANES * LANES; }

// Copies a head's columns of some tokens to [tokens, size] in float32, zero behind the size.
template <class T>
static inline void copy_head(const T *from, int64_t stride, int64_t tokens, int64_t size, const float *bias, float factor, float *to) {
    const int64_t width = padded(size);
    for (int64_t token = 0; token < tokens; token++)
        for (int64_t column = 0; column < size; column += LANES)
            store(to + token * width + column,
                  (load(from + token * stride + column, size - column) + load(bias + column, size - column)) * factor);
}

// [tokens, size] to [size, tokens], with zeros up to the padded number of tokens.
static inline void transpose(const float *from, int64_t tokens, int64_t size, float *to) {
    const int64_t width = padded(size), length = padded(tokens);
    for (int64_t column = 0; column < size; column++) {
        for (int64_t token = 0; token < tokens; token++) to[column * length + token] = from[token * width + column];
        for (int64_t token = tokens; token < length; token++) to[column * length + token] = 0.f;
    }
}

// Turns scores [queries, padded tokens] into probabilities, and gives the logarithms of what softmax divided by.
static inline void softmax(float *scores, int64_t queries, int64_t tokens, float *log_sums) {
    const int64_t length = padded(tokens);
    for (int64_t query = 0; query < queries; query++) {
        float *of_query = scores + query * length;
        for (int64_t token = tokens; token < length; token++) of_query[token] = -INFINITY;
        Floats most = splat(-INFINITY), total = splat(0.f);
        for (int64_t token = 0; token < length; token += LANES) most = larger(most, load(of_query + token));
        const float top = largest(most);
        for (int64_t token = 0; token < length; token += LANES) {
            const Floats power = exponential(load(of_query + token) - top);
            store(of_query + token, power);
            total += power;
        }
        const float all = sum(total), inverse = 1.f / all;
        for (int64_t token = 0; token < length; token += LANES)
            store(of_query + token, load(of_query + token) * inverse);
        log_sums[query] = top + std::log(all);
    }
}
