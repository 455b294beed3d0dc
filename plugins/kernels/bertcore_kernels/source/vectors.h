// Vectors of floats as the compiler knows them, of the width of the instruction set that a file is compiled for.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#include <immintrin.h>
constexpr int LANES = 16;
#elif defined(__AVX2__)
#include <immintrin.h>
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float Floats __attribute__((vector_size(LANES * 4)));
typedef int32_t Integers __attribute__((vector_size(LANES * 4)));
typedef uint16_t Halves __attribute__((vector_size(LANES * 2)));

// The upper half of a float32.
struct bfloat16 {
    uint16_t bits;
};

static inline float widen(bfloat16 value) {
    uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
    float result;
    std::memcpy(&result, &bits, 4);
    return result;
}
static inline float widen(float value) { return value; }

// Rounds to the nearest, of two equally near ones to the even one; NaN stays NaN, and the processor's own instruction
// for vectors takes what is below 1e-38 for zero.
static inline bfloat16 narrow(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if (std::isnan(value)) return {static_cast<uint16_t>((bits >> 16) | 64)};
    return {static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

static inline Floats splat(float value) {
#if defined(__AVX512F__)
    return (Floats)_mm512_set1_ps(value);
#elif defined(__AVX2__)
    return (Floats)_mm256_set1_ps(value);
#else
    return Floats{} + value;
#endif
}
static inline Floats select(Integers condition, Floats yes, Floats no) { return condition ? yes : no; }

static inline Floats load(const float *from) {
    Floats values;
    std::memcpy(&values, from, sizeof values);
    return values;
}
static inline Floats load(const bfloat16 *from) {
    Halves halves;
    std::memcpy(&halves, from, sizeof halves);
    const Integers bits = __builtin_convertvector(halves, Integers) << 16;
    Floats values;
    std::memcpy(&values, &bits, sizeof values);
    return values;
}
static inline void store(float *to, Floats values) { std::memcpy(to, &values, sizeof values); }
static inline void store(bfloat16 *to, Floats values) {
#if defined(__AVX512BF16__)
    const __m256bh halves = _mm512_cvtneps_pbh((__m512)values);
    std::memcpy(to, &halves, sizeof halves);
#else
    Integers bits;
    std::memcpy(&bits, &values, sizeof bits);
    const Integers rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const Integers kept = values != values ? (bits >> 16) | 64 : rounded;
    const Halves halves = __builtin_convertvector(kept, Halves);
    std::memcpy(to, &halves, sizeof halves);
#endif
}

// The first `count` values of a vector, zero behind them.
template <class T> static inline Floats load(const T *from, int64_t count) {
    if (count >= LANES) return load(from);
    T some[LANES] = {};
    for (int64_t lane = 0; lane < count; lane++) some[lane] = from[lane];
    return load(some);
}
template <class T> static inline void store(T *to, Floats values, int64_t count) {
    if (count >= LANES) return store(to, values);
    T some[LANES];
    store(some, values);
    for (int64_t lane = 0; lane < count; lane++) to[lane] = some[lane];
}

// What bytes of 0 and 1 select: `scale` or zero.
static inline Floats load_kept(const uint8_t *from, float scale, int64_t count) {
    typedef uint8_t Bytes __attribute__((vector_size(LANES)));
    Bytes bytes = {};
    if (count >= LANES)
        std::memcpy(&bytes, from, LANES);
    else
        for (int64_t lane = 0; lane < count; lane++) bytes[lane] = from[lane];
    return select(__builtin_convertvector(bytes, Integers) != 0, splat(scale), splat(0.f));
}

static inline Floats larger(Floats a, Floats b) { return select(a < b, b, a); }

static inline float sum(Floats values) {
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)values);
#else
    float lanes[LANES];
    store(lanes, values);
    for (int step = LANES / 2; step; step /= 2)
        for (int lane = 0; lane < step; lane++) lanes[lane] += lanes[lane + step];
    return lanes[0];
#endif
}
static inline float largest(Floats values) {
    float lanes[LANES];
    store(lanes, values);
    for (int step = LANES / 2; step; step /= 2)
        for (int lane = 0; lane < step; lane++)
            if (lanes[lane] < lanes[lane + step]) lanes[lane] = lanes[lane + step];
    return lanes[0];
}

// e to the power of each value, within 2 units in the last place; zero far below.
// Cephes' expf: the power is split into a whole one of 2, added to the exponent, and a rest for a polynomial.
static inline Floats exponential(Floats values) {
#if defined(__AVX512F__)
    const Floats bounded = (Floats)_mm512_max_ps(_mm512_set1_ps(-104.f), (__m512)values);
    const Floats whole = (Floats)_mm512_roundscale_ps((__m512)(bounded * 1.44269504088896341f), 0);
#else
    const Floats shift = splat(12582912.f);  // 1.5 * 2^23: adding it rounds to a whole number
    const Floats bounded = select(values > 88.3f, splat(88.3f), values);
    const Floats whole = bounded * 1.44269504088896341f + shift - shift;
#endif
    Floats rest = bounded - whole * 0.693359375f;
    rest = rest + whole * 2.12194440e-4f;
    Floats power = splat(1.9875691500e-4f);
    power = power * rest + 1.3981999507e-3f;
    power = power * rest + 8.3334519073e-3f;
    power = power * rest + 4.1665795894e-2f;
    power = power * rest + 1.6666665459e-1f;
    power = power * rest + 5.0000001201e-1f;
    power = power * (rest * rest) + rest + 1.f;
#if defined(__AVX512F__)
    return (Floats)_mm512_scalef_ps((__m512)power, (__m512)whole);
#else
    const Integers exponent = (__builtin_convertvector(whole, Integers) + 127) << 23;
    Floats scale;
    std::memcpy(&scale, &exponent, sizeof scale);
    return select(values < -87.3f, splat(0.f), power * scale);
#endif
}

// One over each value, within 2 units in the last place, for values of a common size.
static inline Floats reciprocal(Floats values) {
#if defined(__AVX512F__)
    const Floats near = (Floats)_mm512_rcp14_ps((__m512)values);
    return near * (2.f - values * near);
#else
    return 1.f / values;
#endif
}
