// Vectors of float64, beside those of vectors.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "vectors.h"

constexpr int DOUBLE_LANES = LANES / 2;

typedef double Doubles __attribute__((vector_size(LANES * 4)));
typedef int64_t Longs __attribute__((vector_size(LANES * 4)));

static inline Doubles splat(double value) { return Doubles{} + value; }
static inline Doubles load(const double *from) {
    Doubles values;
    std::memcpy(&values, from, sizeof values);
    return values;
}
static inline void store(double *to, Doubles values) { std::memcpy(to, &values, sizeof values); }

static inline Doubles larger(Doubles a, Doubles b) {
#if defined(__AVX512F__)
    return (Doubles)_mm512_max_pd((__m512d)b, (__m512d)a);  // of which the compiler makes two instructions else
#else
    return a < b ? b : a;
#endif
}
static inline Doubles smaller(Doubles a, Doubles b) { return b < a ? b : a; }

static inline double sum(Doubles values) {
#if defined(__AVX512F__)
    return _mm512_reduce_add_pd((__m512d)values);
#else
    double lanes[DOUBLE_LANES];
    store(lanes, values);
    for (int step = DOUBLE_LANES / 2; step; step /= 2)
        for (int lane = 0; lane < step; lane++) lanes[lane] += lanes[lane + step];
    return lanes[0];
#endif
}
static inline double largest(Doubles values) {
#if defined(__AVX512F__)
    return _mm512_reduce_max_pd((__m512d)values);
#else
    double lanes[DOUBLE_LANES];
    store(lanes, values);
    for (int step = DOUBLE_LANES / 2; step; step /= 2)
        for (int lane = 0; lane < step; lane++)
            if (lanes[lane] < lanes[lane + step]) lanes[lane] = lanes[lane + step];
    return lanes[0];
#endif
}

// e to the power of each value up to 709, within 2 units in the last place; zero below -708, NaN of NaN.
// The power is split into a whole one of 2, which becomes the exponent, and a rest for the Taylor series.
static inline Doubles exponential(Doubles values) {
    const Doubles bounded = values < -708. ? splat(-708.) : values;
    const Doubles shifted = bounded * 1.4426950408889634 + 6755399441055744.;  // 1.5 * 2^52: rounds to a whole number
    const Doubles whole = shifted - 6755399441055744.;
    const Doubles rest = (bounded - whole * 6.93145751953125e-1) - whole * 1.42860682030941723212e-6;
    Doubles power = splat(1. / 6227020800.);
    power = power * rest + 1. / 479001600.;
    power = power * rest + 1. / 39916800.;
    power = power * rest + 1. / 3628800.;
    power = power * rest + 1. / 362880.;
    power = power * rest + 1. / 40320.;
    power = power * rest + 1. / 5040.;
    power = power * rest + 1. / 720.;
    power = power * rest + 1. / 120.;
    power = power * rest + 1. / 24.;
    power = power * rest + 1. / 6.;
    power = power * rest + 0.5;
    power = power * rest + 1.;
    power = power * rest + 1.;
    Longs exponent;  // the whole number stands in the lowest bits
    std::memcpy(&exponent, &shifted, sizeof exponent);
    exponent = (exponent + 1023) << 52;
    Doubles scale;
    std::memcpy(&scale, &exponent, sizeof scale);
    return values < -708. ? splat(0.) : power * scale;
}
