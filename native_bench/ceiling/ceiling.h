/* What the C ceiling and hashmatch/bench/ceiling.py agree on.
 *
 * Arrays are hashmatch's own, read where they lie: shapes and meanings as in hashmatch/kernels/multi_index.py.
 */
#ifndef HASHMATCH_CEILING_H
#define HASHMATCH_CEILING_H

#include <stdint.h>

#define WORDS 4       /* 256-bit codes only: the ceiling is measured for PDQ */
#define LANES 32      /* filters compared at once, one cache line */
#define CHUNK_BITS 16
#define ROW_BITS 40   /* low bits of a heap key hold the row, the distance stands above them */
#define SCAN_COST 1
#define ROW_COST 64

/* The tables of one column and the plan for one radius. */
struct tables {
    const uint64_t *codes;      /* (n, WORDS) */
    const uint64_t *scatter;    /* (8 * WORDS, 256, WORDS) */
    const uint32_t *offsets;    /* (chunks, offsets_stride) */
    const uint16_t *filters;    /* (chunks, rows_stride) */
    const uint32_t *rows;       /* (chunks, rows_stride) */
    const int64_t *thresholds;  /* (chunks) */
    const uint32_t *probes;
    const int64_t *probe_ends;  /* (largest threshold + 2) */
    int64_t n, chunks, offsets_stride, rows_stride, key_bits, radius, budget;
};

/* Nearest rows of every query, as `distance << ROW_BITS | row` in a heap with the largest first. */
struct found {
    int64_t *heaps;  /* (queries, max_hits) */
    int64_t *held;   /* (queries) */
    uint8_t *cut;    /* (queries) */
    int64_t max_hits;
};

const char *ceiling_instructions(void);
void ceiling_probe(const struct tables *t, const uint64_t *queries, int64_t count, struct found *out);
void ceiling_probe_each(const struct tables *t, const uint64_t *queries, int64_t count, struct found *out);
void ceiling_scan(const uint64_t *codes, int64_t n, const uint64_t *queries, int64_t count, int64_t radius,
                  struct found *out);
void ceiling_build(const uint64_t *codes, int64_t n, const int64_t *order, int64_t key_bits, uint16_t *columns,
                   uint64_t *packed, uint32_t *offsets, uint16_t *filters, uint32_t *rows);
uint64_t ceiling_stream(const uint64_t *words, int64_t count);
uint64_t ceiling_tents(const uint8_t *rows, int64_t height, int64_t length, int64_t window);
uint64_t ceiling_lines(const uint64_t *words, int64_t lines, int64_t reads, int64_t batch, uint64_t seed);
uint64_t ceiling_chase(const uint64_t *words, int64_t lines, int64_t reads, uint64_t seed);
int64_t ceiling_pdq_floats(int64_t height, int64_t width);
int64_t ceiling_pdq(const uint8_t *pixels, int64_t height, int64_t width, int64_t channels, float *scratch,
                    uint8_t *hashes);

static inline int64_t code_distance(const uint64_t *a, const uint64_t *b)
{
    int64_t bits = 0;
    for (int w = 0; w < WORDS; w++)
        bits += __builtin_popcountll(a[w] ^ b[w]);
    return bits;
}

void offer(struct found *out, int64_t query, int64_t item);

#endif
