// A whole encoder of BERT (Devlin et al., arXiv 1810.04805) for predictions: from token ids to hidden states in one call.
//
// A text's rows meet those of no other text, so each thread takes some texts through all layers by itself, and nothing
// waits. Where there is too little text for that, all threads share each product, and wait for each other after it:
//
//     many texts    thread 0: texts 0 to 3, layer 0 1 2 ...  | texts 8 to 11, ...
//                   thread 1: texts 4 to 7, layer 0 1 2 ...  | ...
//     one text      threads 0 and 1: layer 0 | layer 1 | ...      each its columns, heads or tokens
//
// Weights are packed once, as the products read them. The inputs of products are bfloat16 where that is asked for, and
// float32 else; everything else is float32. A result depends on no other text, and on no number of threads.
#include <omp.h>
#include <sched.h>

#include <atomic>
#include <memory>
#include <vector>

#include "arrays.h"
#include "head.h"
#include "normal.h"
#include "rows.h"

namespace {

constexpr int64_t TOKENS_OF_A_CHUNK = 192;
// Fewer tokens for each thread than this, and they share the work on one chunk.
constexpr int64_t TOKENS_TO_PART = 64;

#if defined(__AVX512BF16__)
typedef bfloat16 Rounded;
constexpr int64_t PER_LANE = 2;
#else
typedef float Rounded;  // the same values, in float32
constexpr int64_t PER_LANE = 1;
#endif

static inline void store_rounded(float *to, Floats values, int64_t count) {
    bfloat16 halves[LANES];
    store(halves, values);
    store(to, load(halves), count);
}
static inline void store_rounded(bfloat16 *to, Floats values, int64_t count) { store(to, values, count); }

// How a product's inputs are held: `Element` and whether they are rounded.
struct Exact {
    typedef float Element;
    static constexpr int64_t per_lane = 1;
    static void put(float *to, Floats values, int64_t count) { store(to, values, count); }
};
struct Narrow {
    typedef Rounded Element;
    static constexpr int64_t per_lane = PER_LANE;
    static void put(Rounded *to, Floats values, int64_t count) { store_rounded(to, values, count); }
};

// A weight [width, depth] in blocks of LANES columns of the result, as a vector reads them:
//
//     block 0: (k = 0: column 0 1 .. 15)(k = 1: ..) ..      with bfloat16, two k of each column side by side
template <class Kind> struct Weight {
    typedef typename Kind::Element Element;
    int64_t width = 0, depth = 0, block = 0;  // block: elements from block to block
    std::vector<Element> values;
    std::vector<float> bias;

    // Takes rows of the weight from several matrices, one below the other.
    void pack(const std::vector<const float *> &weights, const std::vector<const float *> &biases, int64_t rows,
              int64_t columns) {
        width = rows * static_cast<int64_t>(weights.size());
        depth = columns;
        const int64_t steps = (depth + Kind::per_lane - 1) / Kind::per_lane;
        block = steps * Kind::per_lane * LANES;
        values.assign((width + LANES - 1) / LANES * block, Element{});
        bias.assign(padded(width), 0.f);
        for (size_t part = 0; part < weights.size(); part++) {
#pragma omp parallel for schedule(static)
            for (int64_t row = 0; row < rows; row++) {
                const int64_t column = static_cast<int64_t>(part) * rows + row;
                bias[column] = biases[part][row];
                Element *to = values.data() + column / LANES * block + column % LANES * Kind::per_lane;
                for (int64_t index = 0; index < depth; index++) {
                    Element element[LANES];
                    Kind::put(element, splat(weights[part][row * depth + index]), LANES);
                    to[index / Kind::per_lane * Kind::per_lane * LANES + index % Kind::per_lane] = element[0];
                }
            }
        }
    }
};

template <int ROWS, int VECTORS>
static inline void multiply(Floats (&sums)[ROWS][VECTORS], int64_t depth, const float *values, int64_t stride,
                            const float *weight, int64_t block) {
    for (int64_t index = 0; index < depth; index++) {
        Floats factors[VECTORS];
        for (int vector = 0; vector < VECTORS; vector++) factors[vector] = load(weight + vector * block + index * LANES);
        for (int row = 0; row < ROWS; row++) {
            const Floats value = splat(values[row * stride + index]);
            for (int vector = 0; vector < VECTORS; vector++) sums[row][vector] += value * factors[vector];
        }
    }
}

#if defined(__AVX512BF16__)
template <int ROWS, int VECTORS>
static inline void multiply(Floats (&sums)[ROWS][VECTORS], int64_t depth, const bfloat16 *values, int64_t stride,
                            const bfloat16 *weight, int64_t block) {
    for (int64_t index = 0; index < depth; index += 2) {
        __m512bh factors[VECTORS];
        for (int vector = 0; vector < VECTORS; vector++)
            std::memcpy(&factors[vector], weight + vector * block + index * LANES, sizeof(__m512bh));
        for (int row = 0; row < ROWS; row++) {
            int32_t pair;
            std::memcpy(&pair, values + row * stride + index, 4);
            const __m512i both = _mm512_set1_epi32(pair);
            for (int vector = 0; vector < VECTORS; vector++)
                sums[row][vector] =
                    (Floats)_mm512_dpbf16_ps((__m512)sums[row][vector], (__m512bh)both, factors[vector]);
        }
    }
}
#endif

template <class Kind, int ROWS, int VECTORS, class Put>
static inline void product_tile(const Weight<Kind> &weight, const typename Kind::Element *values, int64_t stride,
                                int64_t row, int64_t column, const Put &put) {
    Floats sums[ROWS][VECTORS];
    for (int index = 0; index < ROWS; index++)
        for (int vector = 0; vector < VECTORS; vector++) sums[index][vector] = splat(0.f);
    multiply<ROWS, VECTORS>(sums, weight.depth, values + row * stride, stride,
                            weight.values.data() + column / LANES * weight.block, weight.block);
    for (int index = 0; index < ROWS; index++)
        for (int vector = 0; vector < VECTORS; vector++) {
            const int64_t at = column + vector * LANES;
            put(row + index, at, sums[index][vector] + load(weight.bias.data() + at), weight.width - at);
        }
}

template <class Kind, int VECTORS, class Put>
static inline void product_columns(const Weight<Kind> &weight, const typename Kind::Element *values, int64_t stride,
                                   int64_t rows, int64_t column, const Put &put) {
    int64_t row = 0;
    for (; row + TILE_ROWS <= rows; row += TILE_ROWS)
        product_tile<Kind, TILE_ROWS, VECTORS>(weight, values, stride, row, column, put);
    for (; row + 4 <= rows; row += 4) product_tile<Kind, 4, VECTORS>(weight, values, stride, row, column, put);
    for (; row + 2 <= rows; row += 2) product_tile<Kind, 2, VECTORS>(weight, values, stride, row, column, put);
    for (; row < rows; row++) product_tile<Kind, 1, VECTORS>(weight, values, stride, row, column, put);
}

// Some threads that work on one chunk. Waiting is a loop, for it is short, and gives way where cores are scarce.
class Team {
  public:
    void wait(int size) {
        if (size == 1) return;
        const int turn = turn_.load();
        if (arrived_.fetch_add(1) + 1 == size) {
            arrived_.store(0);
            turn_.fetch_add(1);
            return;
        }
        for (int64_t spin = 0; turn_.load(std::memory_order_acquire) == turn; spin++)
            if (spin > 2000) sched_yield();
    }

  private:
    std::atomic<int> arrived_{0}, turn_{0};
};

// One of them.
struct Member {
    Team &team;
    const int number, size;
    void wait() const { team.wait(size); }
};

// A share of `count` for one of several, in multiples of `unit`.
struct Share {
    int64_t first, end;
    Share(int64_t count, int64_t unit, int member, int size) {
        const int64_t units = (count + unit - 1) / unit, each = (units + size - 1) / size;
        first = std::min(count, member * each * unit);
        end = std::min(count, (member + 1) * each * unit);
    }
};

// Calls put(row, column, values, count) with values weight^T + bias, for this member's columns.
template <class Kind, class Put>
static void product(const Weight<Kind> &weight, const typename Kind::Element *values, int64_t stride, int64_t rows,
                    int member, int size, const Put &put) {
    const Share share(weight.width, LANES, member, size);
    int64_t column = share.first;
    for (; column + TILE_VECTORS * LANES <= share.end; column += TILE_VECTORS * LANES)
        product_columns<Kind, TILE_VECTORS>(weight, values, stride, rows, column, put);
    for (; column < share.end; column += LANES) product_columns<Kind, 1>(weight, values, stride, rows, column, put);
}

struct Sizes {
    int64_t layers, hidden, heads, intermediate, tables[3];  // rows of the tables of words, positions and types
};

struct Texts {
    int64_t count;
    const int64_t *offsets, *input_ids, *token_type_ids, *position_ids;
    const float *embedding_offset;  // [tokens, hidden] or null
    bool first_only;
    float *output;
};

class Encoder {
  public:
    virtual ~Encoder() = default;
    virtual int run(const Texts &texts) const = 0;
};

constexpr int64_t EMBEDDING_PARAMETERS = 5, LAYER_PARAMETERS = 16;

template <class Kind> class PackedEncoder : public Encoder {
    typedef typename Kind::Element Element;

    struct Layer {
        Weight<Kind> query_key_value, attention_output, intermediate, output;
        std::vector<float> attention_norm[2], output_norm[2];
    };

    struct Buffers {
        std::vector<float> hidden, wide, branch;
        std::vector<Element> narrow, context, inner;
        std::vector<float> key, value, key_columns, scores, query, log_sums;
    };

  public:
    PackedEncoder(const Sizes &sizes, float eps, const float *const *parameters) : sizes_(sizes), eps_(eps) {
        const int64_t hidden = sizes.hidden;
        for (int table = 0; table < 3; table++) embeddings_[table] = parameters[table];
        for (int part = 0; part < 2; part++) norm_[part] = copied(parameters[3 + part], hidden);
        layers_.resize(sizes.layers);
        for (int64_t index = 0; index < sizes.layers; index++) {
            const float *const *of_layer = parameters + EMBEDDING_PARAMETERS + index * LAYER_PARAMETERS;
            Layer &layer = layers_[index];
            layer.query_key_value.pack({of_layer[0], of_layer[2], of_layer[4]}, {of_layer[1], of_layer[3], of_layer[5]},
                                       hidden, hidden);
            layer.attention_output.pack({of_layer[6]}, {of_layer[7]}, hidden, hidden);
            layer.intermediate.pack({of_layer[10]}, {of_layer[11]}, sizes.intermediate, hidden);
            layer.output.pack({of_layer[12]}, {of_layer[13]}, hidden, sizes.intermediate);
            for (int part = 0; part < 2; part++) {
                layer.attention_norm[part] = copied(of_layer[8 + part], hidden);
                layer.output_norm[part] = copied(of_layer[14 + part], hidden);
            }
        }
    }

    int run(const Texts &texts) const override {
        const int64_t tokens = texts.offsets[texts.count];
        if (!in_bounds(texts)) return WRONG_SHAPE;
        const int threads = omp_get_max_threads();
        if (threads > 1 && tokens >= TOKENS_TO_PART * threads && texts.count > 1) {
            const std::vector<int64_t> starts = chunks(texts, threads);
            const int64_t count = static_cast<int64_t>(starts.size()) - 1;
            std::atomic<int> status{FITS};
#pragma omp parallel for schedule(dynamic, 1)
            for (int64_t chunk = 0; chunk < count; chunk++) {
                Team alone;
                Buffers &buffers = own_buffers();
                try {
                    make_room(buffers, texts, starts[chunk], starts[chunk + 1], 1);
                } catch (const std::bad_alloc &) {  // which may leave no parallel region
                    status = NO_MEMORY;
                    continue;
                }
                run_chunk(texts, starts[chunk], starts[chunk + 1], buffers, {alone, 0, 1});
            }
            return status;
        }
        const std::vector<int64_t> starts = chunks(texts, 1);
        Buffers &shared = own_buffers();
        const int asked = tokens < 4 ? 1 : threads;
        for (size_t chunk = 0; chunk + 1 < starts.size(); chunk++)
            make_room(shared, texts, starts[chunk], starts[chunk + 1], asked);
        Team team;
#pragma omp parallel num_threads(asked)
        {
            const Member own{team, omp_get_thread_num(), omp_get_num_threads()};  // which may be fewer than were asked for
            for (size_t chunk = 0; chunk + 1 < starts.size(); chunk++)
                run_chunk(texts, starts[chunk], starts[chunk + 1], shared, own);
        }
        return FITS;
    }

  private:
    bool in_bounds(const Texts &texts) const {
        for (int64_t text = 0; text < texts.count; text++)
            if (texts.offsets[text + 1] < texts.offsets[text] + (texts.first_only ? 1 : 0)) return false;
        const int64_t *const ids[3] = {texts.input_ids, texts.position_ids, texts.token_type_ids};
        for (int table = 0; table < 3; table++)
            for (int64_t token = 0; token < texts.offsets[texts.count]; token++)
                if (ids[table][token] < 0 || ids[table][token] >= sizes_.tables[table]) return false;
        return true;
    }

    static std::vector<float> copied(const float *from, int64_t size) { return {from, from + size}; }

    static Buffers &own_buffers() {
        thread_local Buffers buffers;
        return buffers;
    }

    // Where each chunk begins among the texts, and the end of all.
    static std::vector<int64_t> chunks(const Texts &texts, int threads) {
        const int64_t tokens = texts.offsets[texts.count];
        // Equal shares for few tokens, so that no thread waits long for the last chunk.
        const int64_t most = std::min(TOKENS_OF_A_CHUNK, (tokens + threads - 1) / threads);
        std::vector<int64_t> starts{0};
        for (int64_t text = 0; text < texts.count; text++)
            if (text > starts.back() && texts.offsets[text + 1] - texts.offsets[starts.back()] > most)
                starts.push_back(text);
        starts.push_back(texts.count);
        return starts;
    }

    // For a chunk of texts, on which `size` threads work.
    void make_room(Buffers &buffers, const Texts &texts, int64_t text_first, int64_t text_end, int size) const {
        const int64_t tokens = texts.offsets[text_end] - texts.offsets[text_first];
        int64_t longest = 0;
        for (int64_t text = text_first; text < text_end; text++)
            longest = std::max(longest, texts.offsets[text + 1] - texts.offsets[text]);
        const auto grow = [](auto &values, int64_t count) {
            if (static_cast<int64_t>(values.size()) < count) values.resize(count);
        };
        const int64_t hidden = sizes_.hidden, head = padded(hidden / sizes_.heads), length = padded(longest);
        grow(buffers.hidden, tokens * hidden);
        grow(buffers.wide, tokens * 3 * hidden);
        grow(buffers.branch, tokens * hidden);
        grow(buffers.narrow, tokens * stride(hidden));
        grow(buffers.context, tokens * stride(hidden));
        grow(buffers.inner, tokens * stride(sizes_.intermediate));
        grow(buffers.key, size * longest * head);
        grow(buffers.value, size * longest * head);
        grow(buffers.key_columns, size * head * length);
        grow(buffers.scores, size * QUERIES * length);
        grow(buffers.query, size * QUERIES * head);
        grow(buffers.log_sums, size * QUERIES);
    }

    static int64_t stride(int64_t width) { return (width + 1) / 2 * 2; }

    void normalize(float *values, const float *weight, const float *shift, Element *narrow) const {
        const int64_t width = sizes_.hidden;
        Floats total = splat(0.f);
        each_vector(width, [&](int64_t column, auto left) { total += load(values + column, left); });
        const float mean = sum(total) / width;
        Floats squares = splat(0.f);
        each_vector(width, [&](int64_t column, auto left) {
            Floats centred = load(values + column, left) - mean;
            for (int64_t lane = left; lane < LANES; lane++) centred[lane] = 0.f;
            squares += centred * centred;
        });
        const float inverse = 1.f / std::sqrt(sum(squares) / width + eps_);
        each_vector(width, [&](int64_t column, auto left) {
            const Floats result = (load(values + column, left) - mean) * inverse * load(weight + column, left) +
                                  load(shift + column, left);
            store(values + column, result, left);
            Kind::put(narrow + column, result, left);
        });
        if (width % 2) narrow[width] = Element{};
    }

    void embed(const Texts &texts, int64_t first, int64_t tokens, Buffers &buffers, int member, int size) const {
        const int64_t width = sizes_.hidden;
        const Share share(tokens, 1, member, size);
        for (int64_t token = share.first; token < share.end; token++) {
            const float *word = embeddings_[0] + texts.input_ids[first + token] * width,
                        *position = embeddings_[1] + texts.position_ids[first + token] * width,
                        *type = embeddings_[2] + texts.token_type_ids[first + token] * width;
            float *to = buffers.hidden.data() + token * width;
            each_vector(width, [&](int64_t column, auto left) {
                Floats values = load(word + column, left) + load(position + column, left) + load(type + column, left);
                if (texts.embedding_offset) values += load(texts.embedding_offset + (first + token) * width + column, left);
                store(to + column, values, left);
            });
            normalize(to, norm_[0].data(), norm_[1].data(), buffers.narrow.data() + token * stride(width));
        }
    }

    void attend(const Texts &texts, int64_t text_first, int64_t text_end, Buffers &buffers, int member, int size,
                bool first_only) const {
        const int64_t hidden = sizes_.hidden, head_size = hidden / sizes_.heads, width = padded(head_size);
        const int64_t base = texts.offsets[text_first];
        const std::vector<float> none(width, 0.f);
        const float root = 1.f / std::sqrt(static_cast<float>(head_size));
        const int64_t longest = static_cast<int64_t>(buffers.key.size()) / size / width;
        float *key = buffers.key.data() + member * longest * width, *value = buffers.value.data() + member * longest * width;
        float *key_columns = buffers.key_columns.data() + buffers.key_columns.size() / size * member;
        float *scores = buffers.scores.data() + buffers.scores.size() / size * member;
        float *query = buffers.query.data() + member * QUERIES * width, *log_sums = buffers.log_sums.data() + member * QUERIES;
        for (int64_t task = member; task < (text_end - text_first) * sizes_.heads; task += size) {
            const int64_t text = text_first + task / sizes_.heads, head = task % sizes_.heads;
            const int64_t first = texts.offsets[text] - base, tokens = texts.offsets[text + 1] - texts.offsets[text];
            const int64_t length = padded(tokens), wide = 3 * hidden;
            const float *from = buffers.wide.data() + first * wide + head * head_size;
            copy_head(from + hidden, wide, tokens, head_size, none.data(), 1.f, key);
            copy_head(from + 2 * hidden, wide, tokens, head_size, none.data(), 1.f, value);
            transpose(key, tokens, head_size, key_columns);
            const int64_t asked = first_only ? 1 : tokens;
            for (int64_t start = 0; start < asked; start += QUERIES) {
                const int64_t queries = std::min(QUERIES, asked - start);
                copy_head(from + start * wide, wide, queries, head_size, none.data(), root, query);
                small_product<false>(queries, length, head_size, query, width, 1, key_columns, length, scores, length);
                softmax(scores, queries, tokens, log_sums);
                small_product<false>(queries, width, tokens, scores, length, 1, value, width, query, width);
                for (int64_t index = 0; index < queries; index++) {
                    const int64_t row = first_only ? text - text_first : first + start + index;
                    Element *to = buffers.context.data() + row * stride(hidden) + head * head_size;
                    for (int64_t column = 0; column < head_size; column += LANES)
                        Kind::put(to + column, load(query + index * width + column), head_size - column);
                }
            }
        }
    }

    void run_chunk(const Texts &texts, int64_t text_first, int64_t text_end, Buffers &buffers,
                   const Member &own) const {
        const int64_t hidden = sizes_.hidden, first = texts.offsets[text_first];
        const int64_t tokens = texts.offsets[text_end] - first;
        const int member = own.number, size = own.size;
        if (tokens == 0) return;
        if (member == 0) {
            if (hidden % 2)
                for (int64_t row = 0; row < tokens; row++) buffers.context[row * stride(hidden) + hidden] = Element{};
            if (sizes_.intermediate % 2)
                for (int64_t row = 0; row < tokens; row++)
                    buffers.inner[row * stride(sizes_.intermediate) + sizes_.intermediate] = Element{};
        }
        own.wait();
        embed(texts, first, tokens, buffers, member, size);
        own.wait();
        int64_t rows = tokens;
        for (size_t index = 0; index < layers_.size(); index++) {
            const Layer &layer = layers_[index];
            const bool first_only = texts.first_only && index + 1 == layers_.size();
            float *states = buffers.hidden.data(), *branch = buffers.branch.data(), *wide = buffers.wide.data();
            product(layer.query_key_value, buffers.narrow.data(), stride(hidden), rows, member, size,
                    [=](int64_t row, int64_t column, Floats values, int64_t left) {
                        store(wide + row * 3 * hidden + column, values, left);
                    });
            own.wait();
            attend(texts, text_first, text_end, buffers, member, size, first_only);
            own.wait();
            if (first_only) {
                rows = text_end - text_first;
                if (member == 0)  // rows move forward only, so that none is overwritten before it is read
                    for (int64_t row = 0; row < rows; row++)
                        std::memmove(states + row * hidden, states + (texts.offsets[text_first + row] - first) * hidden,
                                     hidden * sizeof(float));
                own.wait();
            }
            const auto to_branch = [=](int64_t row, int64_t column, Floats values, int64_t left) {
                store(branch + row * hidden + column, values, left);
            };
            product(layer.attention_output, buffers.context.data(), stride(hidden), rows, member, size, to_branch);
            own.wait();
            add_and_normalize(buffers, rows, layer.attention_norm, member, size);
            own.wait();
            Element *inner = buffers.inner.data();
            const int64_t inner_stride = stride(sizes_.intermediate);
            product(layer.intermediate, buffers.narrow.data(), stride(hidden), rows, member, size,
                    [=](int64_t row, int64_t column, Floats values, int64_t left) {
                        Kind::put(inner + row * inner_stride + column, values * normal(values).distribution, left);
                    });
            own.wait();
            product(layer.output, inner, inner_stride, rows, member, size, to_branch);
            own.wait();
            add_and_normalize(buffers, rows, layer.output_norm, member, size);
            own.wait();
        }
        if (member == 0)
            std::memcpy(texts.output + (texts.first_only ? text_first : first) * hidden, buffers.hidden.data(),
                        rows * hidden * sizeof(float));
        own.wait();
    }

    void add_and_normalize(Buffers &buffers, int64_t rows, const std::vector<float> (&norm)[2], int member,
                           int size) const {
        const int64_t width = sizes_.hidden;
        const Share share(rows, 1, member, size);
        for (int64_t row = share.first; row < share.end; row++) {
            float *states = buffers.hidden.data() + row * width;
            const float *branch = buffers.branch.data() + row * width;
            each_vector(width, [&](int64_t column, auto left) {
                store(states + column, load(states + column, left) + load(branch + column, left), left);
            });
            normalize(states, norm[0].data(), norm[1].data(), buffers.narrow.data() + row * stride(width));
        }
    }

    const Sizes sizes_;
    const float eps_;
    const float *embeddings_[3];
    std::vector<float> norm_[2];
    std::vector<Layer> layers_;
};

}  // namespace

// Packs an encoder. parameters: addresses of float32 arrays: embeddings of words, positions and types, weight and bias of
// their LayerNorm; of each layer weight and bias of query, key, value, attention output, its LayerNorm, intermediate,
// output, its LayerNorm. The three tables are read where they lie, all else is copied.
//
// sizes int64 [7]: layers, width of the states, heads, width of the intermediate states, rows of the three tables.
extern "C" void *bertcore_encoder_create(const int64_t *given, double eps, int rounded, const float *const *parameters) {
    const Sizes sizes{given[0], given[1], given[2], given[3], {given[4], given[5], given[6]}};
    if (sizes.layers < 1 || sizes.heads < 1 || sizes.hidden < 1 || sizes.hidden % sizes.heads || sizes.intermediate < 1)
        return nullptr;
    try {
        if (rounded) return new PackedEncoder<Narrow>(sizes, static_cast<float>(eps), parameters);
        return new PackedEncoder<Exact>(sizes, static_cast<float>(eps), parameters);
    } catch (const std::bad_alloc &) {
        return nullptr;
    }
}

extern "C" void bertcore_encoder_free(void *encoder) { delete static_cast<Encoder *>(encoder); }

// Runs it over texts that lie one behind the other; offsets int64 [texts + 1], ids int64 [tokens], embedding_offset
// float32 [tokens, hidden] or null. Fills output float32 [tokens, hidden], or with first_only [texts, hidden] of first
// tokens, where no text may be empty. An id that its table does not have is refused.
extern "C" int bertcore_encoder_run(const void *encoder, int64_t texts, const int64_t *offsets, const int64_t *input_ids,
                                     const int64_t *token_type_ids, const int64_t *position_ids,
                                     const float *embedding_offset, int first_only, float *output) {
    try {
        return static_cast<const Encoder *>(encoder)->run(
            {texts, offsets, input_ids, token_type_ids, position_ids, embedding_offset, first_only != 0, output});
    } catch (const std::bad_alloc &) {
        return NO_MEMORY;
    }
}
