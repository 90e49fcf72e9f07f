/* What the memory allows: reading in order, reading cache lines anywhere, and following one pointer after the other. */
#include "ceiling.h"

#define LINE_WORDS 8

/* Read everything once, in order; the bound for a scan. */
uint64_t ceiling_stream(const uint64_t *words, int64_t count)
{
    uint64_t lanes[32] = {0};
    for (int64_t i = 0; i + 32 <= count; i += 32)
        for (int lane = 0; lane < 32; lane++)
            lanes[lane] ^= words[i + lane];
    uint64_t all = 0;
    for (int lane = 0; lane < 32; lane++)
        all ^= lanes[lane];
    return all;
}

static inline uint64_t next(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return *state >> 32;
}

/* Read cache lines anywhere: `batch` addresses are requested at once, as the probe requests a chunk's buckets, and read
 * when the next `batch` have been requested. The bound for a probe. */
uint64_t ceiling_lines(const uint64_t *words, int64_t lines, int64_t reads, int64_t batch, uint64_t seed)
{
    uint64_t ahead = seed, behind = seed, all = 0;
    for (int64_t i = 0; i < batch; i++)
        __builtin_prefetch(words + (next(&ahead) * (uint64_t)lines >> 32) * LINE_WORDS);
    for (int64_t done = 0; done < reads; done += batch) {
        for (int64_t i = 0; i < batch; i++)
            __builtin_prefetch(words + (next(&ahead) * (uint64_t)lines >> 32) * LINE_WORDS);
        for (int64_t i = 0; i < batch; i++)
            all ^= words[(next(&behind) * (uint64_t)lines >> 32) * LINE_WORDS];
    }
    return all;
}

/* Read cache lines one after the other, the next address depending on the line before: plain latency. */
uint64_t ceiling_chase(const uint64_t *words, int64_t lines, int64_t reads, uint64_t seed)
{
    uint64_t state = seed, read = 0;
    for (int64_t i = 0; i < reads; i++) {
        state ^= read & 1;
        read = words[(next(&state) * (uint64_t)lines >> 32) * LINE_WORDS];
    }
    return state ^ read;
}
