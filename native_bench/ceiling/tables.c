/* The tables of the multi-index search, built as hashmatch/kernels/tables.py builds them. */
#include "ceiling.h"

#define LINE_WORDS 8
#define BLOCK_ROWS 512
#define GROUPS 256
#define BUFFER_LINES 4
#define BUFFER_WORDS (BUFFER_LINES * LINE_WORDS)
#define GROUP_BITS 8
#define CHUNKS (64 * WORDS / CHUNK_BITS)

typedef uint64_t line __attribute__((vector_size(8 * LINE_WORDS)));

static void transpose(line *lines, const int64_t *order, int count)
{
    for (int apart = count / 2; apart; apart /= 2) {
        uint64_t mask = ~UINT64_C(0) / ((UINT64_C(1) << apart) + 1);
        for (int block = 0; block < count; block += 2 * apart)
            for (int i = block; i < block + apart; i++) {
                line *low = lines + order[i], *high = lines + order[i + apart];
                line differing = ((*low >> apart) ^ *high) & mask;
                *low ^= differing << apart;
                *high ^= differing;
            }
    }
}

static void cut_columns(const uint64_t *codes, int64_t n, const int64_t *order, uint16_t *columns, int64_t stride)
{
    int64_t in_place[64 * WORDS];
    line lines[64 * WORDS];
    for (int bit = 0; bit < 64 * WORDS; bit++)
        in_place[bit] = bit;
    for (int64_t start = 0; start < n; start += BLOCK_ROWS) {
        for (int word = 0; word < WORDS; word++) {
            for (int k = 0; k < CHUNK_BITS; k++)
                for (int s = 0; s < 4; s++)
                    for (int w = 0; w < LINE_WORDS; w++) {
                        int64_t row = start + (k * LINE_WORDS + w) * 4 + s;
                        lines[64 * word + CHUNK_BITS * s + k][w] = codes[(row < n ? row : n - 1) * WORDS + word];
                    }
            transpose(lines, in_place + 64 * word, 64);
        }
        for (int chunk = 0; chunk < CHUNKS; chunk++) {
            const int64_t *bits = order + CHUNK_BITS * chunk;
            transpose(lines, bits, CHUNK_BITS);
            line *out = (line *)(columns + chunk * stride + start);
            for (int k = 0; k < CHUNK_BITS; k++)
                out[k] = lines[bits[k]];
        }
    }
}

static inline void write_past(line *target, const line *source)
{
#ifdef __x86_64__
    for (int w = 0; w < LINE_WORDS; w++)
        __builtin_ia32_movnti64((long long *)target + w, (*source)[w]);
#else
    *target = *source;
#endif
}

static void group_rows(const uint16_t *column, const uint16_t *following, int64_t n, int key_bits, uint64_t groups,
                       uint64_t *begins, uint64_t *ends, uint64_t *packed)
{
    line buffers[GROUPS][BUFFER_LINES];
    int shift = key_bits > GROUP_BITS ? key_bits - GROUP_BITS : 0;
    uint64_t rest = (UINT64_C(1) << shift) - 1, free = 0;
    for (uint64_t group = 0; group < groups; group++)
        ends[group] = 0;
    for (int64_t row = 0; row < n; row++)
        ends[column[row] >> shift & (groups - 1)]++;
    for (uint64_t group = 0; group < groups; group++) {
        uint64_t count = ends[group];
        begins[group] = ends[group] = free;
        free += (count + BUFFER_WORDS - 1) / BUFFER_WORDS * BUFFER_WORDS;
    }
    for (int64_t row = 0; row < n; row++) {
        uint64_t chunk = column[row], group = chunk >> shift & (groups - 1), place = ends[group]++;
        uint64_t word = ((uint64_t)following[row] << CHUNK_BITS | chunk) >> key_bits & 0xFFFF;
        uint64_t full = place % BUFFER_WORDS;
        buffers[group][full / LINE_WORDS][full % LINE_WORDS] = (uint64_t)row << 32 | word << 16 | (chunk & rest);
        if (full == BUFFER_WORDS - 1)
            for (int at = 0; at < BUFFER_LINES; at++)
                write_past((line *)(packed + place - full) + at, &buffers[group][at]);
    }
    for (uint64_t group = 0; group < groups; group++)
        for (uint64_t at = 0; at * LINE_WORDS < ends[group] % BUFFER_WORDS; at++)
            write_past((line *)(packed + ends[group] / BUFFER_WORDS * BUFFER_WORDS) + at, &buffers[group][at]);
}

static void sort_groups(uint64_t *restrict packed, const uint64_t *begins, const uint64_t *ends, uint64_t groups,
                        uint64_t width, uint32_t *restrict offsets, uint16_t *restrict filters, uint32_t *restrict rows)
{
    uint64_t places[1 << (CHUNK_BITS - GROUP_BITS)], done = 0;
    for (uint64_t group = 0; group < groups; group++) {
        uint64_t begin = begins[group], size = ends[group] - begin, first = done;
        for (uint64_t key = 0; key < width; key++)
            places[key] = 0;
        for (uint64_t at = begin; at < begin + size; at++)
            places[packed[at] & 0xFFFF]++;
        for (uint64_t key = 0; key < width; key++) {
            uint64_t count = places[key];
            offsets[group * width + key] = (uint32_t)(places[key] = done);
            done += count;
        }
        if (size > begin) {
            for (uint64_t at = begin; at < begin + size; at++) {
                uint64_t item = packed[at], place = places[item & 0xFFFF]++;
                filters[place] = (uint16_t)(item >> 16);
                rows[place] = (uint32_t)(item >> 32);
            }
            continue;
        }
        for (uint64_t at = begin; at < begin + size; at++) {
            uint64_t item = packed[at];
            packed[places[item & 0xFFFF]++ - first] = item;
        }
        for (uint64_t at = 0; at < size; at++)
            filters[first + at] = (uint16_t)(packed[at] >> 16);
        for (uint64_t at = 0; at < size; at++)
            rows[first + at] = (uint32_t)(packed[at] >> 32);
    }
    offsets[groups * width] = (uint32_t)done;
    for (int pad = 0; pad < LANES; pad++)
        filters[done + pad] = 0, rows[done + pad] = 0;
}

/* `columns` has room for CHUNKS columns of n rows, rounded up to whole blocks, and `packed` for n words and a buffer
 * per group; both begin at a cache line. */
void ceiling_build(const uint64_t *codes, int64_t n, const int64_t *order, int64_t key_bits, uint16_t *columns,
                   uint64_t *packed, uint32_t *offsets, uint16_t *filters, uint32_t *rows)
{
    uint64_t begins[GROUPS], ends[GROUPS];
    uint64_t buckets = UINT64_C(1) << key_bits, groups = buckets < GROUPS ? buckets : GROUPS;
    int64_t stride = (n + BLOCK_ROWS - 1) / BLOCK_ROWS * BLOCK_ROWS, padded = n + LANES;
    cut_columns(codes, n, order, columns, stride);
    for (int64_t chunk = 0; chunk < CHUNKS; chunk++) {
        group_rows(columns + chunk * stride, columns + (chunk + 1) % CHUNKS * stride, n, (int)key_bits, groups, begins,
                   ends, packed);
        sort_groups(packed, begins, ends, groups, buckets / groups, offsets + chunk * (int64_t)(buckets + 1),
                    filters + chunk * padded, rows + chunk * padded);
    }
}
