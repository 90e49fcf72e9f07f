/* What the memory allows: reading in order, reading a picture as PDQ's fused kernel does, reading cache lines anywhere,
 * and following one pointer after the other. */
#include <string.h>

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

/* Read the rows of a picture once, in the order of hashmatch/kernels/_pdq_fused.py: below each other the lines of 64 bytes
 * under one tent, asking for those under the next one. The bound for hashing pixels. */
uint64_t ceiling_tents(const uint8_t *rows, int64_t height, int64_t length, int64_t window)
{
    uint64_t lanes[LINE_WORDS] = {0}, all = 0;
    for (int64_t i = 0; i < 64; i++) {
        int64_t top = (2 * i + 1) * height / 128 - 2 * ((window - 1) / 2), count = 2 * window - 1;
        int64_t end = top + count < height ? top + count : height;
        for (int64_t x = 0; x + 64 <= length; x += 64)
            for (int64_t y = top; y < end; y++) {
                uint64_t line[LINE_WORDS];
                memcpy(line, rows + y * length + x, sizeof line);
                __builtin_prefetch(rows + (y + count) * length + x);
                for (int lane = 0; lane < LINE_WORDS; lane++)
                    lanes[lane] ^= line[lane];
            }
    }
    for (int lane = 0; lane < LINE_WORDS; lane++)
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
