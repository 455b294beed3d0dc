// Dropout masks from the stream of numpy's SFC64 (Doty-Humphrey's Small Fast Chaotic generator), four values of each
// draw, as bertcore.numerics.randomness.keep_mask draws them: kept is what lies at or above the level.
#include "arrays.h"
#include "rows.h"

// states uint64 [sites, 4] of generators, levels int64 [sites], sizes int64 [sites]; sites lie one behind the other
// -> keep uint8 [sum of sizes]; the states are left as they are behind the draws
KERNEL(keep_masks) {
    const Arrays arrays = ARRAYS;
    if (count != 4) return WRONG_COUNT;
    if (!arrays.is_matrix(0) || arrays.width(0) != 4) return WRONG_SHAPE;
    const int64_t sites = arrays.rows(0);
    if (const int status = arrays.check({{0, UINT64, 4 * sites}, {1, INT64, sites}, {2, INT64, sites}})) return status;
    const int64_t *levels = arrays.at<int64_t>(1), *sizes = arrays.at<int64_t>(2);
    std::vector<int64_t> starts(sites + 1, 0);
    for (int64_t site = 0; site < sites; site++) {
        if (sizes[site] < 0) return WRONG_SHAPE;
        starts[site + 1] = starts[site] + sizes[site];
    }
    if (const int status = arrays.check({{3, BYTES, starts[sites]}})) return status;
#pragma omp parallel for schedule(dynamic, 1) if (starts[sites] > VALUES_OF_A_THREAD)
    for (int64_t site = 0; site < sites; site++) {
        uint64_t *state = arrays.at<uint64_t>(0) + 4 * site;
        uint64_t a = state[0], b = state[1], c = state[2], counter = state[3];
        uint8_t *keep = arrays.at<uint8_t>(3) + starts[site];
        const uint64_t level = static_cast<uint64_t>(levels[site]);
        const auto draw = [&]() {
            const uint64_t result = a + b + counter++;
            a = b ^ (b >> 11);
            b = c + (c << 3);
            c = ((c << 24) | (c >> 40)) + result;
            return result;
        };
        int64_t index = 0;
        // In blocks, so that the comparison of one is vectorized.
        uint64_t drawn[64];
        for (; index + 256 <= sizes[site]; index += 256) {
            for (uint64_t &word : drawn) word = draw();
            uint16_t values[256];
            std::memcpy(values, drawn, sizeof values);
            for (int lane = 0; lane < 256; lane++) keep[index + lane] = values[lane] >= level;
        }
        while (index < sizes[site]) {
            uint64_t word = draw();
            for (int quarter = 0; quarter < 4 && index < sizes[site]; quarter++, word >>= 16)
                keep[index++] = (word & 0xffff) >= level;
        }
        state[0] = a, state[1] = b, state[2] = c, state[3] = counter;
    }
    return FITS;
}
