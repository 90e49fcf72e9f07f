/* Compare a query with every code: what popcount and the memory bus allow, without an index. */
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "ceiling.h"

#define BLOCK 64 /* codes whose distances are computed before any is looked at */

/* Distances of BLOCK codes. */
#if defined(__AVX512VPOPCNTDQ__) && defined(__AVX512VL__)

static inline void distances(const uint64_t *codes, const uint64_t *query, uint16_t *bits)
{
    const __m512i twice = _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)query));
    const __m512i even = _mm512_setr_epi64(0, 4, 1, 5, 8, 12, 9, 13);
    const __m512i odd = _mm512_setr_epi64(2, 6, 3, 7, 10, 14, 11, 15);
    for (int i = 0; i < BLOCK; i += 8) {
        __m512i words[4], halves[2];
        for (int pair = 0; pair < 4; pair++)
            words[pair] = _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(codes + (i + 2 * pair) * 4), twice));
        /* From 2 codes x 4 words in each of four registers to 8 sums in one: add neighbours, twice. After the first
         * time a register holds halves of codes 0 2 0 2 1 3 1 3, and `even` and `odd` pick the two halves of each. */
        for (int half = 0; half < 2; half++)
            halves[half] = _mm512_add_epi64(_mm512_unpacklo_epi64(words[2 * half], words[2 * half + 1]),
                                            _mm512_unpackhi_epi64(words[2 * half], words[2 * half + 1]));
        __m512i total = _mm512_add_epi64(_mm512_permutex2var_epi64(halves[0], even, halves[1]),
                                         _mm512_permutex2var_epi64(halves[0], odd, halves[1]));
        _mm_storeu_si128((__m128i *)(bits + i), _mm512_cvtepi64_epi16(total));
    }
}

#else

static inline void distances(const uint64_t *codes, const uint64_t *query, uint16_t *bits)
{
    for (int i = 0; i < BLOCK; i++)
        bits[i] = (uint16_t)code_distance(codes + i * WORDS, query);
}

#endif

void ceiling_scan(const uint64_t *codes, int64_t n, const uint64_t *queries, int64_t count, int64_t radius,
                  struct found *out)
{
    uint16_t bits[BLOCK];
    for (int64_t q = 0; q < count; q++) {
        const uint64_t *query = queries + q * WORDS;
        out->held[q] = out->cut[q] = 0;
        int64_t row = 0;
        for (; row + BLOCK <= n; row += BLOCK) {
            distances(codes + row * WORDS, query, bits);
            uint16_t least = bits[0];
            for (int i = 1; i < BLOCK; i++)
                least = bits[i] < least ? bits[i] : least;
            if (least <= radius)
                for (int i = 0; i < BLOCK; i++)
                    if (bits[i] <= radius)
                        offer(out, q, (int64_t)bits[i] << ROW_BITS | (row + i));
        }
        for (; row < n; row++) {
            int64_t distance = code_distance(codes + row * WORDS, query);
            if (distance <= radius)
                offer(out, q, distance << ROW_BITS | row);
        }
    }
}
