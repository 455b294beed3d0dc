// The linear-chain conditional random field (Lafferty et al. 2001), as bertcore.numerics.crf defines it: one row of label
// positions after the other, each on one thread, in float64 throughout.
//
// Sums over all tag sequences are products of exponentials, scaled at every step (Rabiner 1989), with e, A, s, f for
// emissions, transitions, start and end, each less its largest:
//
//     forward[t, k]  = exp(e[t, k]) sum_j forward[t-1, j] exp(A[j, k]),   divided by scale[t], its sum over k
//     entering[t, k] = exp(e[t, k]) / scale[t] backward[t, k]
//     backward[t-1, j] = sum_k exp(A[j, k]) entering[t, k]
//
//     P(t_t = k)              = forward[t, k] backward[t, k]
//     P(t_(t-1) = j, t_t = k) = forward[t-1, j] exp(A[j, k]) entering[t, k]
//
// Where scores lie so far apart that float64 could lose what counts, they are computed in logarithms instead.
//
// All vectors over tags have the padded width of whole vectors of the processor; what lies behind the tags is nothing.
#include <algorithm>
#include <cmath>
#include <limits>

#include "arrays.h"
#include "doubles.h"
#include "rows.h"

namespace {

// Threads that have gone to sleep are worth waking, which may take milliseconds, for more than half of one of work.
constexpr int64_t STEPS_OF_A_THREAD = 8'000'000;


constexpr double SCORE_FLOOR = -1e9;      // no score counts for less
constexpr double NOTHING = -1e300;        // the logarithm of no share at all, of which sums and differences are finite
constexpr double WIDEST = 200;            // ranges in powers of e in which products lose nothing that could still count,
constexpr double WIDEST_RESTRICTED = 400;  // see emission_limit
constexpr double INF = std::numeric_limits<double>::infinity();

int64_t padded(int64_t size) { return (size + DOUBLE_LANES - 1) / DOUBLE_LANES * DOUBLE_LANES; }

double as_counted(float score) { return score < SCORE_FLOOR ? SCORE_FLOOR : static_cast<double>(score); }

struct Scores {
    int64_t size, width;
    std::vector<double> transitions, start, end;  // as they count; SCORE_FLOOR for what is illegal, NOTHING behind the tags
    std::vector<double> transitions_turned;       // the same as [to, from], for decoding, which needs nothing below
    std::vector<double> factors, factors_turned;  // exp(A[j, k]) as [j, k] and as [k, j], zero behind the tags
    std::vector<double> start_factors, end_factors;
    double largest_transition, largest_start, largest_end;
    double limit;  // how far the emissions of a position may lie apart for products to be exact

    Scores(const Arrays &arrays, int first, int legal, bool for_decoding)
        : size(arrays.size(first + 1)), width(padded(size)) {
        const float *given = arrays.at<float>(first), *given_start = arrays.at<float>(first + 1),
                    *given_end = arrays.at<float>(first + 2);
        const uint8_t *allowed = arrays.present(legal) ? arrays.at<uint8_t>(legal) : nullptr;
        const auto counted = [&](float score, int64_t place) {
            return allowed && !allowed[place] ? SCORE_FLOOR : as_counted(score);
        };
        transitions.assign(width * width, NOTHING);
        start.assign(width, NOTHING);
        end.assign(width, NOTHING);
        for (int64_t j = 0; j < size; j++) {
            for (int64_t k = 0; k < size; k++) transitions[j * width + k] = counted(given[j * size + k], j * size + k);
            start[j] = counted(given_start[j], size * size + j);
            end[j] = counted(given_end[j], size * size + size + j);
        }
        if (for_decoding) {
            transitions_turned.resize(width * width);
            for (int64_t j = 0; j < width; j++)
                for (int64_t k = 0; k < width; k++) transitions_turned[k * width + j] = transitions[j * width + k];
            return;
        }
        largest_transition = *std::max_element(transitions.begin(), transitions.end());
        largest_start = *std::max_element(start.begin(), start.end());
        largest_end = *std::max_element(end.begin(), end.end());
        limit = emission_limit();
        factors = powers(transitions, largest_transition);
        start_factors = powers(start, largest_start);
        end_factors = powers(end, largest_end);
        factors_turned.resize(width * width);
        for (int64_t j = 0; j < width; j++)
            for (int64_t k = 0; k < width; k++) factors_turned[k * width + j] = factors[j * width + k];
    }

  private:
    static std::vector<double> powers(const std::vector<double> &scores, double largest) {
        std::vector<double> result(scores.size());
        for (size_t index = 0; index < scores.size(); index += DOUBLE_LANES)
            store(result.data() + index, exponential(load(scores.data() + index) - largest));
        return result;
    }

    // Without constraints a tag that is improbable at one position by more than float64 can hold could only come back
    // through a transition that is better by as much: the ranges of the scores decide, and emissions may be anything.
    // With constraints it could also be the only way to where the best sequence goes; but if all tags reach all others
    // in three steps, no tag ever falls behind by more than three steps lose. A negative number asks for logarithms.
    double emission_limit() const {
        bool restricted = false;
        const auto range = [&](const std::vector<double> &scores) {
            double least = INF, most = -INF;
            for (const double score : scores) {
                if (score == NOTHING) continue;
                if (score > SCORE_FLOOR / 2)
                    least = std::min(least, score), most = std::max(most, score);
                else
                    restricted = true;
            }
            return least > most ? INF : most - least;
        };
        const double of_transitions = range(transitions), of_start = range(start), of_end = range(end);
        if (!restricted) return std::max({of_transitions, of_start, of_end}) <= WIDEST ? INF : -1;
        if (!all_reach_all_in_three_steps()) return -1;
        return (WIDEST_RESTRICTED - of_start - of_end) / 3 - of_transitions - std::log(static_cast<double>(size));
    }

    bool all_reach_all_in_three_steps() const {
        const int64_t words = (size + 63) / 64;
        std::vector<uint64_t> once(size * words, 0);
        for (int64_t j = 0; j < size; j++)
            for (int64_t k = 0; k < size; k++)
                if (transitions[j * width + k] > SCORE_FLOOR / 2) once[j * words + k / 64] |= uint64_t{1} << (k % 64);
        std::vector<uint64_t> reached = once;
        for (int step = 0; step < 2; step++) {
            std::vector<uint64_t> further(size * words, 0);
            for (int64_t j = 0; j < size; j++)
                for (int64_t k = 0; k < size; k++)
                    if (reached[j * words + k / 64] >> (k % 64) & 1)
                        for (int64_t word = 0; word < words; word++) further[j * words + word] |= once[k * words + word];
            reached = further;
        }
        for (int64_t j = 0; j < size; j++)
            for (int64_t k = 0; k < size; k++)
                if (!(reached[j * words + k / 64] >> (k % 64) & 1)) return false;
        return true;
    }
};

// One row: its positions, and where its gradients go.
struct Row {
    const float *emissions;
    const int64_t *gold;
    int64_t steps;
    float *of_emissions, *of_transitions, *of_start, *of_end;
};

// What a thread works with: [longest row, width] twice, [width, width], and vectors.
struct Scratch {
    std::vector<double> forward, weights, pairs, backward, entering;

    Scratch(int64_t longest, int64_t width)
        : forward(longest * width), weights(longest * width), pairs(width * width), backward(width), entering(width) {}
};

// The emissions of some positions in float64; behind the tags, the first one of each. Not one position just before it is
// used: a vector cannot be loaded soon after its parts were stored one by one.
inline void widen(const float *emissions, int64_t steps, int64_t size, int64_t width, double *to) {
    for (int64_t t = 0; t < steps; t++, emissions += size, to += width) {
        for (int64_t k = 0; k < size; k++) to[k] = emissions[k];
        for (int64_t k = size; k < width; k++) to[k] = emissions[0];
    }
}

// to = vector [width] times matrix [width, width], for some of its columns.
template <int VECTORS> inline void columns_of_product(const double *vector, const double *matrix, int64_t width, double *to) {
    Doubles sums[VECTORS], others[VECTORS];  // two of each, for an addition waits for the one before
    for (int index = 0; index < VECTORS; index++) sums[index] = others[index] = splat(0.);
    for (int64_t j = 0; j < width; j += 2) {
        const Doubles first = splat(vector[j]), second = splat(vector[j + 1]);
        for (int index = 0; index < VECTORS; index++) {
            sums[index] += first * load(matrix + j * width + index * DOUBLE_LANES);
            others[index] += second * load(matrix + (j + 1) * width + index * DOUBLE_LANES);
        }
    }
    for (int index = 0; index < VECTORS; index++) store(to + index * DOUBLE_LANES, sums[index] + others[index]);
}
inline void product(const double *vector, const double *matrix, int64_t width, double *to) {
    int64_t column = 0;
    for (; column + 4 * DOUBLE_LANES <= width; column += 4 * DOUBLE_LANES)
        columns_of_product<4>(vector, matrix + column, width, to + column);
    for (; column + 2 * DOUBLE_LANES <= width; column += 2 * DOUBLE_LANES)
        columns_of_product<2>(vector, matrix + column, width, to + column);
    if (column < width) columns_of_product<1>(vector, matrix + column, width, to + column);
}

// sums[j, k] = sum over t of left[t, j] right[t, k], for some j and k.
template <int ROWS, int VECTORS>
inline void tile_of_sums(const double *left, const double *right, int64_t steps, int64_t width, double *sums) {
    Doubles tile[ROWS][VECTORS];
    for (auto &row : tile)
        for (auto &values : row) values = splat(0.);
    for (int64_t t = 0; t < steps; t++)
        for (int row = 0; row < ROWS; row++) {
            const Doubles factor = splat(left[t * width + row]);
            for (int index = 0; index < VECTORS; index++)
                tile[row][index] += factor * load(right + t * width + index * DOUBLE_LANES);
        }
    for (int row = 0; row < ROWS; row++)
        for (int index = 0; index < VECTORS; index++) store(sums + row * width + index * DOUBLE_LANES, tile[row][index]);
}
inline void sums_over_steps(const double *left, const double *right, int64_t steps, int64_t width, double *sums) {
    constexpr int ROWS = DOUBLE_LANES < 4 ? 2 : 4;  // divides every width
    for (int64_t j = 0; j < width; j += ROWS) {
        int64_t column = 0;
        for (; column + 2 * DOUBLE_LANES <= width; column += 2 * DOUBLE_LANES)
            tile_of_sums<ROWS, 2>(left + j, right + column, steps, width, sums + j * width + column);
        if (column < width) tile_of_sums<ROWS, 1>(left + j, right + column, steps, width, sums + j * width + column);
    }
}

// Fills forward and weights (exp(e[t]) / scale[t]), and the end of backward; returns the logarithm of the sum over all
// sequences, or minus infinity where it cannot be had so.
double forward_by_powers(const Row &row, const Scores &scores, Scratch &scratch) {
    const int64_t width = scores.width;
    double total = scores.largest_transition * static_cast<double>(row.steps - 1) + scores.largest_start + scores.largest_end;
    widen(row.emissions, row.steps, scores.size, width, scratch.weights.data());
    for (int64_t t = 0; t < row.steps; t++) {
        double *weights = scratch.weights.data() + t * width;
        Doubles most = load(weights), least = most;
        for (int64_t k = DOUBLE_LANES; k < width; k += DOUBLE_LANES) {
            most = larger(most, load(weights + k));
            least = smaller(least, load(weights + k));
        }
        const double highest = largest(most);
        if (!(highest + largest(-least) <= scores.limit)) return -INF;
        for (int64_t k = 0; k < width; k += DOUBLE_LANES) store(weights + k, exponential(load(weights + k) - highest));
        total += highest;
    }
    double scales = 1;  // their product, of which a logarithm is taken now and then
    const double *before = nullptr;
    for (int64_t t = 0; t < row.steps; t++) {
        double *forward = scratch.forward.data() + t * width, *weights = scratch.weights.data() + t * width;
        if (t)
            product(before, scores.factors.data(), width, forward);
        else
            std::copy(scores.start_factors.begin(), scores.start_factors.end(), forward);
        Doubles all = splat(0.);
        for (int64_t k = 0; k < width; k += DOUBLE_LANES) {
            const Doubles share = load(forward + k) * load(weights + k);
            store(forward + k, share);
            all += share;
        }
        const double scale = sum(all);
        if (scale == 0) return -INF;
        scales *= scale;  // which lies above e^-400, or logarithms would have been asked for
        if (!(scales > 1e-100 && scales < 1e100)) {
            total += std::log(scales);
            scales = 1;
        }
        const double inverse = 1 / scale;
        for (int64_t k = 0; k < width; k += DOUBLE_LANES) {
            store(forward + k, load(forward + k) * inverse);
            store(weights + k, load(weights + k) * inverse);
        }
        before = forward;
    }
    Doubles all = splat(0.);
    for (int64_t k = 0; k < width; k += DOUBLE_LANES) all += load(before + k) * load(scores.end_factors.data() + k);
    const double final = sum(all);
    if (final == 0) return -INF;
    for (int64_t k = 0; k < width; k++) scratch.backward[k] = scores.end_factors[k] / final;
    return total + std::log(scales) + std::log(final);
}

// The marginals, times a weight; behind it, pairs holds those of pairs.
void backward_by_powers(const Row &row, const Scores &scores, Scratch &scratch, double weight) {
    const int64_t width = scores.width;
    double *backward = scratch.backward.data(), *marginals = scratch.entering.data();
    for (int64_t t = row.steps - 1; t >= 0; t--) {
        const double *forward = scratch.forward.data() + t * width;
        double *entering = scratch.weights.data() + t * width;
        for (int64_t k = 0; k < width; k += DOUBLE_LANES) {
            store(marginals + k, load(forward + k) * load(backward + k) * weight);
            store(entering + k, load(entering + k) * load(backward + k));
        }
        float *to = row.of_emissions + t * scores.size;
        marginals[row.gold[t]] -= weight;
        for (int64_t k = 0; k < scores.size; k++) to[k] = static_cast<float>(marginals[k]);
        if (t) product(entering, scores.factors_turned.data(), width, backward);
    }
    sums_over_steps(scratch.forward.data(), scratch.weights.data() + width, row.steps - 1, width, scratch.pairs.data());
    for (int64_t index = 0; index < width * width; index += DOUBLE_LANES) {
        double *place = scratch.pairs.data() + index;
        store(place, load(place) * load(scores.factors.data() + index) * weight);
    }
}

// The same in logarithms, exact for every finite score: forward holds logarithms, and so does backward.
double forward_by_logarithms(const Row &row, const Scores &scores, Scratch &scratch) {
    const int64_t width = scores.width;
    widen(row.emissions, row.steps, scores.size, width, scratch.weights.data());
    for (int64_t t = 0; t < row.steps; t++) {
        double *forward = scratch.forward.data() + t * width;
        const double *before = forward - width, *emissions = scratch.weights.data() + t * width;
        for (int64_t k = 0; k < width; k += DOUBLE_LANES) {
            Doubles most = load(scores.start.data() + k);
            if (t) {
                const double *transitions = scores.transitions.data() + k;
                most = before[0] + load(transitions);
                for (int64_t j = 1; j < scores.size; j++) most = larger(most, before[j] + load(transitions + j * width));
                Doubles all = splat(0.);
                for (int64_t j = 0; j < scores.size; j++)
                    all += exponential(before[j] + load(transitions + j * width) - most);
                for (int lane = 0; lane < DOUBLE_LANES; lane++) all[lane] = std::log(all[lane]);
                most += all;
            }
            store(forward + k, most + load(emissions + k));
        }
    }
    scratch.backward = scores.end;
    const double *last = scratch.forward.data() + (row.steps - 1) * width;
    Doubles most = splat(NOTHING * 2), all = splat(0.);
    for (int64_t k = 0; k < width; k += DOUBLE_LANES) most = larger(most, load(last + k) + load(scores.end.data() + k));
    const double highest = largest(most);
    for (int64_t k = 0; k < width; k += DOUBLE_LANES)
        all += exponential(load(last + k) + load(scores.end.data() + k) - highest);
    return highest + std::log(sum(all));
}

void backward_by_logarithms(const Row &row, const Scores &scores, Scratch &scratch, double weight) {
    const int64_t width = scores.width;
    double *backward = scratch.backward.data(), *following = scratch.entering.data();
    std::fill(scratch.pairs.begin(), scratch.pairs.end(), 0.);
    for (int64_t t = row.steps - 1; t >= 0; t--) {
        const double *forward = scratch.forward.data() + t * width;
        Doubles most = splat(NOTHING * 2), all = splat(0.);
        for (int64_t k = 0; k < width; k += DOUBLE_LANES) most = larger(most, load(forward + k) + load(backward + k));
        const double highest = largest(most);
        for (int64_t k = 0; k < width; k += DOUBLE_LANES) {
            const Doubles share = exponential(load(forward + k) + load(backward + k) - highest);
            store(following + k, share);
            all += share;
        }
        const double total = sum(all), log_sum = highest + std::log(total);
        float *to = row.of_emissions + t * scores.size;
        for (int64_t k = 0; k < scores.size; k++)
            to[k] = static_cast<float>((following[k] / total - (k == row.gold[t] ? 1. : 0.)) * weight);
        if (!t) break;
        const double *emissions = scratch.weights.data() + t * width;
        for (int64_t k = 0; k < width; k += DOUBLE_LANES) store(following + k, load(emissions + k) + load(backward + k));
        const double *before = forward - width;
        for (int64_t j = 0; j < scores.size; j++) {
            const double *transitions = scores.transitions.data() + j * width;
            double *pairs = scratch.pairs.data() + j * width;
            Doubles most_behind = splat(NOTHING * 2), behind = splat(0.);
            for (int64_t k = 0; k < width; k += DOUBLE_LANES)
                most_behind = larger(most_behind, load(transitions + k) + load(following + k));
            const double highest_behind = largest(most_behind);
            for (int64_t k = 0; k < width; k += DOUBLE_LANES) {
                const Doubles score = load(transitions + k) + load(following + k);
                behind += exponential(score - highest_behind);
                // Both sums of a step are one number, so that pairs need no second normalization.
                store(pairs + k, load(pairs + k) + exponential(before[j] + score - log_sum) * weight);
            }
            backward[j] = highest_behind + std::log(sum(behind));
        }
    }
}

// to[k] += the largest of before[j] + transitions[j, k] over j, for some k.
template <int VECTORS>
inline void add_best_columns(const double *before, const double *transitions, int64_t size, int64_t width, double *to) {
    Doubles most[VECTORS];
    for (int index = 0; index < VECTORS; index++) most[index] = before[0] + load(transitions + index * DOUBLE_LANES);
    for (int64_t j = 1; j < size; j++) {
        const Doubles score = splat(before[j]);
        for (int index = 0; index < VECTORS; index++)
            most[index] = larger(most[index], score + load(transitions + j * width + index * DOUBLE_LANES));
    }
    for (int index = 0; index < VECTORS; index++)
        store(to + index * DOUBLE_LANES, most[index] + load(to + index * DOUBLE_LANES));
}
inline void add_best(const double *before, const double *transitions, int64_t size, int64_t width, double *to) {
    int64_t k = 0;
    for (; k + 4 * DOUBLE_LANES <= width; k += 4 * DOUBLE_LANES)
        add_best_columns<4>(before, transitions + k, size, width, to + k);
    for (; k < width; k += DOUBLE_LANES)
        add_best_columns<1>(before, transitions + k, size, width, to + k);
}

// The first of the tags for which left + right is the largest.
inline int64_t best_tag(const double *left, const double *right, int64_t size, int64_t width) {
    Doubles most = load(left) + load(right);
    for (int64_t tag = DOUBLE_LANES; tag < width; tag += DOUBLE_LANES)
        most = larger(most, load(left + tag) + load(right + tag));
    const Doubles highest = splat(largest(most));
    Longs lanes;
    for (int lane = 0; lane < DOUBLE_LANES; lane++) lanes[lane] = lane;
    Longs first = Longs{} + size;
    for (int64_t tag = 0; tag < width; tag += DOUBLE_LANES) {
        const Longs here = load(left + tag) + load(right + tag) == highest ? lanes + tag : Longs{} + size;
        first = here < first ? here : first;
    }
    int64_t chosen = size;
    for (int lane = 0; lane < DOUBLE_LANES; lane++) chosen = std::min<int64_t>(chosen, first[lane]);
    return chosen < size ? chosen : 0;  // no score is equal to itself where it is no number
}

// Offsets rise from 0 to the number of positions; every tag is one.
int check_rows(const Arrays &arrays, int offsets_index, int tags_index, int64_t size) {
    const int64_t *offsets = arrays.at<int64_t>(offsets_index), rows = arrays.size(offsets_index) - 1;
    if (rows < 0 || offsets[0] != 0 || offsets[rows] != arrays.rows(0)) return WRONG_SHAPE;
    for (int64_t row = 0; row < rows; row++)
        if (offsets[row] > offsets[row + 1]) return WRONG_SHAPE;
    if (tags_index < 0) return FITS;
    const int64_t *tags = arrays.at<int64_t>(tags_index);
    for (int64_t position = 0; position < arrays.rows(0); position++)
        if (tags[position] < 0 || tags[position] >= size) return WRONG_SHAPE;
    return FITS;
}

int64_t longest_row(const int64_t *offsets, int64_t rows) {
    int64_t longest = 0;
    for (int64_t row = 0; row < rows; row++) longest = std::max(longest, offsets[row + 1] - offsets[row]);
    return longest;
}

// log(1 + exp d)
double softplus(double d) { return std::max(d, 0.) + std::log1p(std::exp(-std::abs(d))); }

}  // namespace

// emissions float32 [positions, tags], gold tags int64 [positions], offsets int64 [rows + 1], transitions float32
// [tags, tags], start, end float32 [tags], legal uint8 [tags * tags + 2 * tags] (transitions, start, end) or absent
// -> losses float32 [rows], their gradients: of the emissions [positions, tags], and of each row those of the
// transitions [rows, tags, tags], of start and of end [rows, tags]
KERNEL(crf_losses) {
    const Arrays arrays = ARRAYS;
    if (count != 12) return WRONG_COUNT;
    if (!arrays.is_matrix(0)) return WRONG_SHAPE;
    const int64_t positions = arrays.rows(0), size = arrays.width(0), rows = arrays.size(2) - 1;
    if (const int status = arrays.check({{0, FLOAT32, positions * size},
                                         {1, INT64, positions},
                                         {2, INT64, rows + 1},
                                         {3, FLOAT32, size * size},
                                         {4, FLOAT32, size},
                                         {5, FLOAT32, size},
                                         {6, BYTES, size * size + 2 * size, true},
                                         {7, FLOAT32, rows},
                                         {8, FLOAT32, positions * size},
                                         {9, FLOAT32, rows * size * size},
                                         {10, FLOAT32, rows * size},
                                         {11, FLOAT32, rows * size}}))
        return status;
    if (const int status = check_rows(arrays, 2, 1, size)) return status;
    const Scores scores(arrays, 3, 6, false);
    const int64_t *offsets = arrays.at<int64_t>(2), longest = longest_row(offsets, rows);
    const float *transitions = arrays.at<float>(3), *start = arrays.at<float>(4), *end = arrays.at<float>(5);
    const uint8_t *legal = arrays.present(6) ? arrays.at<uint8_t>(6) : nullptr;
    float *losses = arrays.at<float>(7);
#pragma omp parallel if (positions * size * size > STEPS_OF_A_THREAD)
    {
        Scratch scratch(longest, scores.width);
#pragma omp for schedule(dynamic, 1)
        for (int64_t index = 0; index < rows; index++) {
            const int64_t first = offsets[index], steps = offsets[index + 1] - first;
            const Row row = {
                arrays.at<float>(0) + first * size,
                arrays.at<int64_t>(1) + first,
                steps,
                arrays.at<float>(8) + first * size,
                arrays.at<float>(9) + index * size * size,
                arrays.at<float>(10) + index * size,
                arrays.at<float>(11) + index * size,
            };
            if (!steps) {
                losses[index] = 0;
                std::fill(row.of_transitions, row.of_transitions + size * size, 0.f);
                std::fill(row.of_start, row.of_start + size, 0.f);
                std::fill(row.of_end, row.of_end + size, 0.f);
                continue;
            }
            double log_sum = forward_by_powers(row, scores, scratch);
            const bool by_powers = log_sum != -INF;
            if (!by_powers) log_sum = forward_by_logarithms(row, scores, scratch);

            const int64_t first_tag = row.gold[0], last_tag = row.gold[steps - 1];
            double gold = as_counted(start[first_tag]) + as_counted(end[last_tag]);
            bool illegal = legal && !(legal[size * size + first_tag] && legal[size * size + size + last_tag]);
            for (int64_t t = 0; t < steps; t++) {
                gold += row.emissions[t * size + row.gold[t]];
                if (!t) continue;
                const int64_t pair = row.gold[t - 1] * size + row.gold[t];
                gold += as_counted(transitions[pair]);
                illegal |= legal && !legal[pair];
            }
            const double difference = log_sum - gold;
            // An illegal gold sequence counts beside the legal ones: log(1 + exp d), and 1 / (1 + exp -d) of the gradient.
            const double weight = illegal ? 1 / (1 + std::exp(-difference)) : 1;
            losses[index] = static_cast<float>(illegal ? softplus(difference) : difference);

            (by_powers ? backward_by_powers : backward_by_logarithms)(row, scores, scratch, weight);
            for (int64_t t = 1; t < steps; t++) scratch.pairs[row.gold[t - 1] * scores.width + row.gold[t]] -= weight;
            for (int64_t j = 0; j < size; j++)
                for (int64_t k = 0; k < size; k++)
                    row.of_transitions[j * size + k] = static_cast<float>(scratch.pairs[j * scores.width + k]);
            std::copy(row.of_emissions, row.of_emissions + size, row.of_start);
            std::copy(row.of_emissions + (steps - 1) * size, row.of_emissions + steps * size, row.of_end);
        }
    }
    return FITS;
}

// emissions, offsets, transitions, start, end and legal as above -> the best tags int32 [positions], by Viterbi's
// algorithm; among equals the lower tag, from the end backwards
KERNEL(crf_tags) {
    const Arrays arrays = ARRAYS;
    if (count != 7) return WRONG_COUNT;
    if (!arrays.is_matrix(0)) return WRONG_SHAPE;
    const int64_t positions = arrays.rows(0), size = arrays.width(0), rows = arrays.size(1) - 1;
    if (const int status = arrays.check({{0, FLOAT32, positions * size},
                                         {1, INT64, rows + 1},
                                         {2, FLOAT32, size * size},
                                         {3, FLOAT32, size},
                                         {4, FLOAT32, size},
                                         {5, BYTES, size * size + 2 * size, true},
                                         {6, INT32, positions}}))
        return status;
    if (const int status = check_rows(arrays, 1, -1, size)) return status;
    const Scores scores(arrays, 2, 5, true);
    const int64_t *offsets = arrays.at<int64_t>(1), longest = longest_row(offsets, rows), width = scores.width;
    const float *all_emissions = arrays.at<float>(0);
    int32_t *all_tags = arrays.at<int32_t>(6);
#pragma omp parallel if (positions * size * size > STEPS_OF_A_THREAD)
    {
        std::vector<double> scores_so_far(longest * width);
#pragma omp for schedule(dynamic, 1)
        for (int64_t row = 0; row < rows; row++) {
            const int64_t first = offsets[row], steps = offsets[row + 1] - first;
            widen(all_emissions + first * size, steps, size, width, scores_so_far.data());
            for (int64_t t = 0; t < steps; t++) {
                double *here = scores_so_far.data() + t * width;
                if (t)
                    add_best(here - width, scores.transitions.data(), size, width, here);
                else
                    for (int64_t k = 0; k < width; k++) here[k] += scores.start[k];
            }
            const double *onward = scores.end.data();
            for (int64_t t = steps - 1; t >= 0; t--) {
                const int64_t tag = best_tag(scores_so_far.data() + t * width, onward, size, width);
                all_tags[first + t] = static_cast<int32_t>(tag);
                onward = scores.transitions_turned.data() + tag * width;
            }
        }
    }
    return FITS;
}
