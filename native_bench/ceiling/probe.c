/* The multi-index probe of hashmatch/kernels/multi_index.py once more, in C: the same tables, the same order of work.
 *
 * What a compiler with intrinsics and restrict makes of the algorithm is the bound for what Numba may be expected to.
 * Queries are answered exactly as by the kernel, duplicates and truncation included, and the bench compares both.
 */
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "ceiling.h"

/* Which of 32 filters differ from `word` in at most `limit` bits; bit j stands for filters[j]. */
#if defined(__AVX512BITALG__) && defined(__AVX512BW__)

const char *ceiling_instructions(void) { return "AVX-512 BITALG and VPOPCNTDQ"; }

static inline uint32_t near_lanes(const uint16_t *filters, uint16_t word, uint16_t limit)
{
    __m512i differing = _mm512_xor_si512(_mm512_loadu_si512(filters), _mm512_set1_epi16((short)word));
    return _mm512_cmple_epu16_mask(_mm512_popcnt_epi16(differing), _mm512_set1_epi16((short)limit));
}

#elif defined(__AVX2__)

const char *ceiling_instructions(void) { return "AVX2"; }

static inline __m256i near16(const uint16_t *filters, uint16_t word, uint16_t limit)
{
    const __m256i of_nibble = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
                                               0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15);
    __m256i x = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)filters), _mm256_set1_epi16((short)word));
    __m256i bytes = _mm256_add_epi8(_mm256_shuffle_epi8(of_nibble, _mm256_and_si256(x, low)),
                                    _mm256_shuffle_epi8(of_nibble, _mm256_and_si256(_mm256_srli_epi16(x, 4), low)));
    __m256i bits = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));
    return _mm256_cmpgt_epi16(_mm256_set1_epi16((short)(limit + 1)), bits);
}

static inline uint32_t near_lanes(const uint16_t *filters, uint16_t word, uint16_t limit)
{
    __m256i packed = _mm256_packs_epi16(near16(filters, word, limit), near16(filters + 16, word, limit));
    return (uint32_t)_mm256_movemask_epi8(_mm256_permute4x64_epi64(packed, 0xD8));
}

#else

const char *ceiling_instructions(void) { return "portable"; }

static inline uint32_t near_lanes(const uint16_t *filters, uint16_t word, uint16_t limit)
{
    uint32_t near = 0;
    for (int lane = 0; lane < LANES; lane++)
        near |= (uint32_t)(__builtin_popcount((uint16_t)(filters[lane] ^ word)) <= limit) << lane;
    return near;
}

#endif

#define PASSED 4096
#define MAX_PROBES 65536

struct passed { uint32_t query, chunk, place; };
struct bucket { uint32_t begin, end; };

void offer(struct found *out, int64_t query, int64_t item)
{
    int64_t *heap = out->heaps + query * out->max_hits, size = out->max_hits, at;
    if (out->held[query] < size) {
        for (at = out->held[query]++; at > 0 && heap[(at - 1) / 2] < item; at = (at - 1) / 2)
            heap[at] = heap[(at - 1) / 2];
        heap[at] = item;
        return;
    }
    out->cut[query] = 1;
    if (size == 0 || item >= heap[0])
        return;
    for (at = 0; 2 * at + 1 < size;) {
        int64_t child = 2 * at + 1;
        if (child + 1 < size && heap[child + 1] > heap[child])
            child++;
        if (heap[child] <= item)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = item;
}

static inline uint32_t bits_at(const uint64_t *code, int64_t start, int64_t count)
{
    uint64_t word = start / 64 % WORDS, shift = start % 64, bits = code[word] >> shift;
    if (shift + count > 64)
        bits |= code[(word + 1) % WORDS] << (64 - shift);
    return (uint32_t)(bits & ((1ULL << count) - 1));
}

static void permute(const uint64_t *scatter, const uint64_t *code, uint64_t *permuted)
{
    const uint8_t *bytes = (const uint8_t *)code;
    for (int w = 0; w < WORDS; w++)
        permuted[w] = 0;
    for (int byte = 0; byte < 8 * WORDS; byte++)
        for (int w = 0; w < WORDS; w++)
            permuted[w] |= scatter[(byte * 256 + bytes[byte]) * WORDS + w];
}

static inline int64_t bits_in_chunk(const uint64_t *code, int64_t chunk)
{
    return __builtin_popcountll(code[chunk / 4] >> chunk % 4 * CHUNK_BITS & 0xFFFF);
}

/* Whether `chunk` is the first at which the probe and the filter let this difference pass. */
static int first_found_at(const struct tables *t, const uint64_t *query, const uint64_t *code, int64_t chunk)
{
    uint64_t difference[WORDS], permuted[WORDS];
    for (int w = 0; w < WORDS; w++)
        difference[w] = query[w] ^ code[w];
    permute(t->scatter, difference, permuted);
    for (int64_t i = 0; i < t->chunks; i++) {
        int64_t next = (i + 1) % t->chunks, bits = bits_in_chunk(permuted, i);
        if (bits <= t->thresholds[i] && bits + bits_in_chunk(permuted, next) <= t->thresholds[i] + t->thresholds[next] + 1)
            return i == chunk;
    }
    return 0;
}

static void verify(const struct tables *t, const uint64_t *queries, struct passed *passed, int64_t count,
                   struct found *out)
{
    for (int64_t i = 0; i < count; i++) {
        passed[i].place = t->rows[passed[i].chunk * t->rows_stride + passed[i].place];
        __builtin_prefetch(t->codes + (int64_t)passed[i].place * WORDS);
    }
    for (int64_t i = 0; i < count; i++) {
        const uint64_t *query = queries + passed[i].query * WORDS, *code = t->codes + (int64_t)passed[i].place * WORDS;
        int64_t bits = code_distance(query, code);
        if (bits <= t->radius && first_found_at(t, query, code, passed[i].chunk))
            offer(out, passed[i].query, bits << ROW_BITS | passed[i].place);
    }
}

struct position { int64_t chunk, query; };

static inline struct position following(struct position at, int64_t count)
{
    return at.query + 1 == count ? (struct position){at.chunk + 1, 0} : (struct position){at.chunk, at.query + 1};
}

static void fetch_offsets(const struct tables *t, const uint64_t *permuted, int64_t chunk)
{
    uint32_t key = bits_at(permuted, chunk * CHUNK_BITS, t->key_bits);
    const uint32_t *offsets = t->offsets + chunk * t->offsets_stride;
    for (int64_t p = 0; p < t->probe_ends[t->thresholds[chunk] + 1]; p++)
        __builtin_prefetch(offsets + (key ^ t->probes[p]));
}

/* Note where every bucket begins and ends and ask for its filters; returns how many rows they hold. */
static int64_t open_buckets(const struct tables *t, const uint64_t *permuted, int64_t chunk, struct bucket *buckets)
{
    uint32_t key = bits_at(permuted, chunk * CHUNK_BITS, t->key_bits);
    const uint32_t *offsets = t->offsets + chunk * t->offsets_stride;
    const uint16_t *filters = t->filters + chunk * t->rows_stride;
    int64_t rows = 0;
    for (int64_t p = 0; p < t->probe_ends[t->thresholds[chunk] + 1]; p++) {
        struct bucket bucket;
        memcpy(&bucket, offsets + (key ^ t->probes[p]), sizeof bucket);
        buckets[p] = bucket;
        rows += bucket.end - bucket.begin;
        __builtin_prefetch(filters + bucket.begin);
        __builtin_prefetch(filters + bucket.begin + LANES - 1);
        for (uint32_t place = bucket.begin + 2 * LANES; place < bucket.end + LANES; place += LANES)
            __builtin_prefetch(filters + place);
    }
    return rows;
}

/* Compare the filters of all buckets of one chunk; returns how many items wait in `passed`. */
static int64_t compare(const struct tables *t, const uint64_t *queries, const uint64_t *permuted, int64_t q,
                       int64_t chunk, const struct bucket *buckets, struct passed *passed, int64_t waiting,
                       int64_t *spent, struct found *out)
{
    int64_t threshold = t->thresholds[chunk], next = (chunk + 1) % t->chunks;
    int64_t together = threshold + t->thresholds[next] + 1;
    uint16_t word = (uint16_t)bits_at(permuted, chunk * CHUNK_BITS + t->key_bits, 16);
    const uint16_t *filters = t->filters + chunk * t->rows_stride;
    const uint32_t *rows = t->rows + chunk * t->rows_stride;
    int64_t looked_up = -waiting;
    for (int64_t apart = 0; apart <= threshold && apart <= together; apart++)
        for (int64_t p = t->probe_ends[apart]; p < t->probe_ends[apart + 1]; p++) {
            int64_t place = buckets[p].begin, end = buckets[p].end;
            do {
                if (waiting > PASSED - LANES) {
                    verify(t, queries, passed, waiting, out);
                    looked_up += waiting, waiting = 0;
                }
                uint32_t near = near_lanes(filters + place, word, (uint16_t)(together - apart));
                near &= (uint32_t)((1ULL << (end - place < LANES ? end - place : LANES)) - 1);
                for (; near != 0; near &= near - 1) {
                    uint32_t found = (uint32_t)(place + __builtin_ctz(near));
                    __builtin_prefetch(rows + found);
                    passed[waiting++] = (struct passed){(uint32_t)q, (uint32_t)chunk, found};
                }
                place += LANES;
            } while (place < end);
        }
    *spent += (looked_up + waiting) * ROW_COST;
    return waiting;
}

void ceiling_probe(const struct tables *t, const uint64_t *queries, int64_t count, struct found *out)
{
    static __thread struct passed passed[PASSED];
    static __thread struct bucket buckets[2][MAX_PROBES];
    uint64_t permuted[count][WORDS];
    int64_t spent[count], waiting = 0, pairs = t->chunks * count;
    for (int64_t q = 0; q < count; q++) {
        out->held[q] = out->cut[q] = spent[q] = 0;
        permute(t->scatter, queries + q * WORDS, permuted[q]);
    }
    struct position far = {0, 0}, near = {0, 0}, here = {0, 0};
    for (int64_t step = 0; step < pairs + 2; step++) {
        if (step < pairs) {
            if (t->thresholds[far.chunk] >= 0 && spent[far.query] <= t->budget)
                fetch_offsets(t, permuted[far.query], far.chunk);
            far = following(far, count);
        }
        if (step >= 1 && step <= pairs) {
            if (t->thresholds[near.chunk] >= 0 && spent[near.query] <= t->budget)
                spent[near.query] += open_buckets(t, permuted[near.query], near.chunk, buckets[step & 1]) * SCAN_COST;
            near = following(near, count);
        }
        if (step >= 2) {
            int64_t q = here.query;
            if (t->thresholds[here.chunk] >= 0 && spent[q] <= t->budget)
                waiting = compare(t, queries, permuted[q], q, here.chunk, buckets[(step - 1) & 1], passed, waiting,
                                  &spent[q], out);
            here = following(here, count);
        }
    }
    verify(t, queries, passed, waiting, out);
    for (int64_t q = 0; q < count; q++)
        if (spent[q] > t->budget) {
            struct found one = {out->heaps + q * out->max_hits, out->held + q, out->cut + q, out->max_hits};
            ceiling_scan(t->codes, t->n, queries + q * WORDS, 1, t->radius, &one);
        }
}

void ceiling_probe_each(const struct tables *t, const uint64_t *queries, int64_t count, struct found *out)
{
    for (int64_t q = 0; q < count; q++) {
        struct found one = {out->heaps + q * out->max_hits, out->held + q, out->cut + q, out->max_hits};
        ceiling_probe(t, queries + q * WORDS, 1, &one);
    }
}
