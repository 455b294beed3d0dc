// The distribution function of the normal distribution, and its density.
#pragma once

#include "vectors.h"

struct Normal {
    Floats distribution, density;
};

// Both with an error below 1e-7: 1 - erf(z) as a polynomial of 1 / (1 + p z) times exp(-z^2) (Abramowitz and Stegun,
// Handbook of Mathematical Functions, 7.1.26), whose power of e is the density's, too.
static inline Normal normal(Floats values) {
    const Floats absolute = select(values < 0.f, -values, values);
    const Floats magnitude = select(absolute > 1e4f, splat(1e4f), absolute) * 0.70710678118654752f;
    const Floats power = exponential(-magnitude * magnitude);
    const Floats part = reciprocal(magnitude * 0.3275911f + 1.f);
    Floats polynomial = part * (0.5f * 1.061405429f) + (0.5f * -1.453152027f);
    polynomial = polynomial * part + (0.5f * 1.421413741f);
    polynomial = polynomial * part + (0.5f * -0.284496736f);
    polynomial = polynomial * part + (0.5f * 0.254829592f);
    const Floats beyond = polynomial * part * power;
    return {select(values < 0.f, beyond, 1.f - beyond), power * 0.3989422804014327f};
}
