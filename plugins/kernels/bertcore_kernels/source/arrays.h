// How a kernel is called: the form that MindSpore's ops.Custom(func_type="aot") asks for, and any language can build.
//
//     int bertcore_NAME(int count, void **data, int *dimensions, int64_t **shapes, const char **types, void *, void *)
//
// All arrays are dense and row-major, inputs first, outputs last; types are numpy's names. An input that a kernel can do
// without is absent where it has one element. The result is 0, or says what is wrong with the call.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <new>
#include <vector>

#include "vectors.h"

#define CALL int count, void **data, int *dimensions, int64_t **shapes, const char **types, void *, void *
#define KERNEL(name)                                                                     \
    static int name(CALL);                                                               \
    extern "C" int bertcore_##name(int count, void **data, int *dimensions, int64_t **shapes, \
                                   const char **types, void *, void *) {                 \
        try {                                                                            \
            return name(count, data, dimensions, shapes, types, nullptr, nullptr);       \
        } catch (const std::bad_alloc &) {                                               \
            return NO_MEMORY;                                                            \
        }                                                                                \
    }                                                                                    \
    static int name(CALL)
#define ARRAYS Arrays{count, data, dimensions, shapes, types}

enum CallError { FITS = 0, WRONG_COUNT = 1, WRONG_TYPE = 2, WRONG_SHAPE = 3, NO_PRODUCTS = 4, NO_MEMORY = 5 };

// What an array may hold: values as the first array does, or of a type of its own.
enum Kind { AS_FIRST, FLOAT_OR_BFLOAT16, FLOAT32, FLOAT64, BFLOAT16, INT32, INT64, UINT64, BYTES };

struct Wanted {
    int index;
    Kind kind;
    int64_t size;
    bool optional = false;
};

struct Arrays {
    int count;
    void **data;
    int *dimensions;
    int64_t **shapes;
    const char **types;

    int64_t size(int index) const {
        int64_t product = 1;
        for (int axis = 0; axis < dimensions[index]; axis++) product *= shapes[index][axis];
        return product;
    }
    int64_t rows(int index) const { return shapes[index][0]; }
    int64_t width(int index) const { return shapes[index][dimensions[index] - 1]; }
    bool present(int index) const { return size(index) != 1; }
    bool is(int index, const char *type) const { return std::strcmp(types[index], type) == 0; }
    bool is_matrix(int index) const { return dimensions[index] == 2 && shapes[index][1] > 0; }
    template <class T> T *at(int index) const { return static_cast<T *>(data[index]); }

    bool holds(int index, Kind kind) const {
        switch (kind) {
            case AS_FIRST: return is(index, types[0]);
            case FLOAT_OR_BFLOAT16: return is(index, "float32") || is(index, "bfloat16");
            case FLOAT32: return is(index, "float32");
            case FLOAT64: return is(index, "float64");
            case BFLOAT16: return is(index, "bfloat16");
            case INT32: return is(index, "int32");
            case INT64: return is(index, "int64");
            case UINT64: return is(index, "uint64");
            case BYTES: return is(index, "uint8") || is(index, "bool");
        }
        return false;
    }
    // What is wrong with some of the arrays, or FITS.
    int check(std::initializer_list<Wanted> all) const {
        for (const Wanted &wanted : all) {
            if (wanted.optional && !present(wanted.index)) continue;
            if (!holds(wanted.index, wanted.kind)) return WRONG_TYPE;
            if (size(wanted.index) != wanted.size) return WRONG_SHAPE;
        }
        return FITS;
    }

    // The values of a vector in float32, of either type; zeros where it is absent.
    std::vector<float> floats(int index, int64_t width) const {
        std::vector<float> values(width, 0.f);
        if (size(index) != width) return values;
        if (is(index, "bfloat16"))
            for (int64_t column = 0; column < width; column++) values[column] = widen(at<bfloat16>(index)[column]);
        else
            std::memcpy(values.data(), data[index], width * sizeof(float));
        return values;
    }
    void set_floats(int index, const float *values, int64_t width) const {
        if (is(index, "bfloat16"))
            for (int64_t column = 0; column < width; column++) at<bfloat16>(index)[column] = narrow(values[column]);
        else
            std::memcpy(data[index], values, width * sizeof(float));
    }
};

// Calls body(T{}) with the type of an array.
template <class Body> int with_type(const Arrays &arrays, int index, Body body) {
    if (arrays.is(index, "float32")) return body(float{});
    if (arrays.is(index, "bfloat16")) return body(bfloat16{});
    return WRONG_TYPE;
}
