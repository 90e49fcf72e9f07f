/* PDQ from pixels to eight hashes and the quality, bit for bit, as fast as C and a compiler make it.
 *
 * The algorithm of hashmatch/kernels/_pdq_filter.py and _pdq_bits.py, where every step is explained: a box filter is a
 * running sum that is rounded after each addition and each subtraction, so its order is the hash. What is free is which
 * rows advance together. Here sixteen do, transposed, so that one column of them is two vectors of eight; the loads
 * between rows and columns are blocks of 8 x 8.
 *
 * -ffp-contract=off (build.sh): a fused multiply-add would round once where the reference rounds twice.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ceiling.h"

#define GRID 64
#define BLOCK 16
#define COEFFICIENTS (BLOCK * BLOCK)
#define HASH_BYTES 32
#define LANES_8 8
#define ROWS 16 /* rows that advance together */

typedef float v8 __attribute__((vector_size(32), aligned(4)));

static inline int64_t window_of(int64_t side) { return (side + 127) / 128; }
static inline int64_t lead_of(int64_t side) { return window_of(side) / 2; }
static inline int64_t sample_of(int64_t i, int64_t side) { return (2 * i + 1) * side / (2 * GRID); }

static inline float count_at(int64_t position, int64_t side)
{
    int64_t end = position + lead_of(side) + 1, begin = end - window_of(side);
    return (float)((end < side ? end : side) - (begin > 0 ? begin : 0));
}

/* 8 x 8 floats, `from_stride` and `to_stride` apart. */
static inline void transpose(const float *from, int64_t from_stride, float *to, int64_t to_stride)
{
    v8 r[8], s[8];
    for (int i = 0; i < 8; i++)
        r[i] = *(const v8 *)(from + i * from_stride);
    for (int i = 0; i < 8; i += 2) {
        s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
        s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    }
    for (int i = 0; i < 8; i += 4)
        for (int k = 0; k < 2; k++) {
            r[i + k] = __builtin_shufflevector(s[i + k], s[i + k + 2], 0, 1, 8, 9, 4, 5, 12, 13);
            r[i + k + 2] = __builtin_shufflevector(s[i + k], s[i + k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        }
    for (int k = 0; k < 4; k++) {
        *(v8 *)(to + k * to_stride) = __builtin_shufflevector(r[k], r[k + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        *(v8 *)(to + (k + 4) * to_stride) = __builtin_shufflevector(r[k], r[k + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

static void luma(const uint8_t *restrict row, int64_t width, int64_t channels, float *restrict out)
{
    if (channels == 1)
        for (int64_t x = 0; x < width; x++)
            out[x] = row[x];
    else
        for (int64_t x = 0; x < width; x++)
            out[x] = (float)(row[3 * x] * 0.299 + row[3 * x + 1] * 0.587 + row[3 * x + 2] * 0.114);
}

/* Where everything lies in the caller's scratch. Rows are `pitch` floats long, a multiple of 8 not less than the width;
 * a strip holds `window` zeros, the transposed rows, and zeros for the lead. */
struct room {
    int64_t pitch, ring_rows;
    float *rows, *strip, *ring, *zeros, *column_sums, *narrow;
};

static int64_t lay_out(int64_t height, int64_t width, float *scratch, struct room *r)
{
    int64_t at = 0;
    r->pitch = (width + 7) / 8 * 8;
    r->ring_rows = window_of(height) + ROWS;
    r->rows = scratch + at, at += ROWS * r->pitch;
    r->strip = scratch + at, at += (window_of(width) + r->pitch + lead_of(width) + 8) * ROWS;
    r->ring = scratch + at, at += r->ring_rows * r->pitch;
    r->zeros = scratch + at, at += r->pitch > GRID ? r->pitch : GRID;
    r->column_sums = scratch + at, at += r->pitch;
    r->narrow = scratch + at, at += (height + ROWS) * GRID;
    return at;
}

int64_t ceiling_pdq_floats(int64_t height, int64_t width)
{
    struct room r;
    return lay_out(height, width, NULL, &r);
}

/* Rows of `r->rows` into the strip; what lies beyond the width must be zero there. */
static void fill_strip(const struct room *r, int64_t width)
{
    float *strip = r->strip + window_of(width) * ROWS;
    for (int64_t x = 0; x < width; x += 8)
        for (int half = 0; half < ROWS; half += LANES_8)
            transpose(r->rows + half * r->pitch + x, r->pitch, strip + x * ROWS + half, ROWS);
    memset(strip + width * ROWS, 0, sizeof(float) * ROWS * (lead_of(width) + 8));
}

/* Means along the rows of the strip, back into `r->rows`. */
static void box_rows(const struct room *r, int64_t width)
{
    const int64_t window = window_of(width), lead = lead_of(width);
    const float *behind = r->strip, *ahead = r->strip + window * ROWS;
    v8 low = {0}, high = {0};
    float means[8 * ROWS];
    for (int64_t x = 0; x < lead; x++, behind += ROWS, ahead += ROWS) {
        low = (low + *(const v8 *)ahead) - *(const v8 *)behind;
        high = (high + *(const v8 *)(ahead + 8)) - *(const v8 *)(behind + 8);
    }
    for (int64_t begin = 0; begin < width; begin += 8) {
        int64_t end = begin + 8 < width ? begin + 8 : width;
        for (int64_t x = begin; x < end; x++, behind += ROWS, ahead += ROWS) {
            low = (low + *(const v8 *)ahead) - *(const v8 *)behind;
            high = (high + *(const v8 *)(ahead + 8)) - *(const v8 *)(behind + 8);
            float count = count_at(x, width);
            *(v8 *)(means + (x - begin) * ROWS) = low / count;
            *(v8 *)(means + (x - begin) * ROWS + 8) = high / count;
        }
        for (int half = 0; half < ROWS; half += LANES_8)
            transpose(means + half, ROWS, r->rows + half * r->pitch + begin, r->pitch);
    }
}

/* Means along the rows of the strip at the 64 samples, into 16 rows of `narrow`. */
static void box_samples(const struct room *r, int64_t width, float *narrow)
{
    const int64_t window = window_of(width), lead = lead_of(width);
    const float *behind = r->strip, *ahead = r->strip + window * ROWS;
    v8 low = {0}, high = {0};
    float samples[8 * ROWS];
    int64_t x = -lead;
    for (int64_t j = 0; j < GRID; j++) {
        int64_t middle = sample_of(j, width);
        for (; x <= middle; x++, behind += ROWS, ahead += ROWS) {
            low = (low + *(const v8 *)ahead) - *(const v8 *)behind;
            high = (high + *(const v8 *)(ahead + 8)) - *(const v8 *)(behind + 8);
        }
        float count = count_at(middle, width);
        *(v8 *)(samples + j % 8 * ROWS) = low / count;
        *(v8 *)(samples + j % 8 * ROWS + 8) = high / count;
        if (j % 8 == 7)
            for (int half = 0; half < ROWS; half += LANES_8)
                transpose(samples + half, ROWS, narrow + half * GRID + j - 7, GRID);
    }
}

/* Move column sums down one row; a row above the picture or below it is one of zeros. */
static inline void slide(float *restrict sums, const float *restrict ahead, const float *restrict behind, int64_t n)
{
    for (int64_t x = 0; x < n; x++)
        sums[x] = (sums[x] + ahead[x]) - behind[x];
}

static inline void slide_and_divide(float *restrict sums, const float *restrict ahead, const float *restrict behind,
                                    float count, float *restrict out, int64_t n)
{
    for (int64_t x = 0; x < n; x++) {
        sums[x] = (sums[x] + ahead[x]) - behind[x];
        out[x] = sums[x] / count;
    }
}

static void filter(const uint8_t *pixels, int64_t height, int64_t width, int64_t channels, const struct room *r,
                   float *grid)
{
    const int64_t window = window_of(height), lead = lead_of(height), pitch = r->pitch;
    int64_t y = -lead;
    for (int64_t top = 0; top < height; top += ROWS) {
        int64_t ready = top + ROWS < height ? top + ROWS : height;
        for (int64_t row = top; row < ready; row++)
            luma(pixels + row * width * channels, width, channels, r->rows + (row - top) * pitch);
        fill_strip(r, width);
        box_rows(r, width);
        for (int64_t row = top; row < ready; row++)
            memcpy(r->ring + row % r->ring_rows * pitch, r->rows + (row - top) * pitch, sizeof(float) * (size_t)width);
        int64_t end = ready == height ? height : ready - lead;
        while (y < end) {
            int64_t first = y, made = 0;
            for (; y < end && made < ROWS; y++) {
                int64_t in = y + lead, out = in - window;
                const float *ahead = in < height ? r->ring + in % r->ring_rows * pitch : r->zeros;
                const float *behind = out >= 0 ? r->ring + out % r->ring_rows * pitch : r->zeros;
                if (y < 0)
                    slide(r->column_sums, ahead, behind, width), first = y + 1;
                else
                    slide_and_divide(r->column_sums, ahead, behind, count_at(y, height), r->rows + made++ * pitch, width);
            }
            if (made) {
                fill_strip(r, width);
                box_samples(r, width, r->narrow + first * GRID);
            }
        }
    }
    float sums[GRID] = {0};
    y = -lead;
    for (int64_t i = 0; i < GRID; i++) {
        int64_t middle = sample_of(i, height);
        for (; y <= middle; y++) {
            int64_t in = y + lead, out = in - window;
            slide(sums, in < height ? r->narrow + in * GRID : r->zeros, out >= 0 ? r->narrow + out * GRID : r->zeros, GRID);
        }
        float count = count_at(middle, height);
        for (int64_t j = 0; j < GRID; j++)
            grid[i * GRID + j] = sums[j] / count;
    }
}

static int64_t quality_of(const float *grid)
{
    int64_t total = 0;
    for (int i = 0; i < GRID - 1; i++)
        for (int j = 0; j < GRID; j++)
            total += abs((int)((grid[i * GRID + j] - grid[(i + 1) * GRID + j]) * 100.0f / 255.0f));
    for (int i = 0; i < GRID; i++)
        for (int j = 0; j < GRID - 1; j++)
            total += abs((int)((grid[i * GRID + j] - grid[i * GRID + j + 1]) * 100.0f / 255.0f));
    total /= 90;
    return total < 100 ? total : 100;
}

static void transform(const float *grid, float *block)
{
    static float cosines[BLOCK][GRID], transposed[GRID][BLOCK];
    static int made;
    if (!made) { /* every thread would write the same */
        const double scale = (float)sqrt(2.0 / GRID), step = acos(-1.0) / 2.0 / GRID;
        for (int i = 0; i < BLOCK; i++)
            for (int j = 0; j < GRID; j++)
                transposed[j][i] = cosines[i][j] = (float)(scale * cos(step * (i + 1) * (2 * j + 1)));
        made = 1;
    }
    for (int i = 0; i < BLOCK; i++) {
        float half[GRID] = {0}, line[BLOCK] = {0};
        for (int k = 0; k < GRID; k++)
            for (int j = 0; j < GRID; j++)
                half[j] += cosines[i][k] * grid[k * GRID + j];
        for (int k = 0; k < GRID; k++)
            for (int j = 0; j < BLOCK; j++)
                line[j] += half[k] * transposed[k][j];
        memcpy(block + i * BLOCK, line, sizeof line);
    }
}

/* The lower median: the 128th smallest (Hoare's selection). */
static float median_of(const float *values)
{
    float v[COEFFICIENTS];
    memcpy(v, values, sizeof v);
    int low = 0, high = COEFFICIENTS - 1;
    const int rank = COEFFICIENTS / 2 - 1;
    while (low < high) {
        float pivot = v[(low + high) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i <= j) {
                float t = v[i];
                v[i++] = v[j], v[j--] = t;
            }
        }
        if (rank <= j)
            high = j;
        else if (rank >= i)
            low = i;
        else
            break;
    }
    return v[rank];
}

static void set_bits(const float *block, uint8_t *hashes)
{
    /* Plain and transposed hash for signs flipped in nothing, even rows, even columns, both. */
    static const int turns[4][2] = {{0, 6}, {4, 3}, {5, 1}, {2, 7}};
    memset(hashes, 0, 8 * HASH_BYTES);
    for (int signs = 0; signs < 4; signs++) {
        float turned[COEFFICIENTS];
        for (int i = 0; i < BLOCK; i++)
            for (int j = 0; j < BLOCK; j++) {
                int negative = (signs & 1 && i % 2 == 0) ^ (signs >> 1 && j % 2 == 0);
                turned[i * BLOCK + j] = negative ? -block[i * BLOCK + j] : block[i * BLOCK + j];
            }
        float median = median_of(turned);
        uint8_t *plain = hashes + turns[signs][0] * HASH_BYTES, *mirrored = hashes + turns[signs][1] * HASH_BYTES;
        for (int i = 0; i < BLOCK; i++)
            for (int j = 0; j < BLOCK; j++) {
                int bit = turned[i * BLOCK + j] > median, k = i * BLOCK + j, m = j * BLOCK + i;
                plain[31 - k / 8] |= (uint8_t)(bit << k % 8);
                mirrored[31 - m / 8] |= (uint8_t)(bit << m % 8);
            }
    }
}

/* `pixels` (height, width, channels 1 or 3), sides of at least 5 and not both 64; `scratch` of ceiling_pdq_floats
 * floats; `hashes` (8, 32). Returns the quality. */
int64_t ceiling_pdq(const uint8_t *pixels, int64_t height, int64_t width, int64_t channels, float *scratch,
                    uint8_t *hashes)
{
    struct room r;
    float grid[GRID * GRID], block[COEFFICIENTS];
    lay_out(height, width, scratch, &r);
    memset(r.strip, 0, sizeof(float) * (size_t)(window_of(width) * ROWS));
    memset(r.zeros, 0, sizeof(float) * (size_t)(r.pitch > GRID ? r.pitch : GRID));
    memset(r.column_sums, 0, sizeof(float) * (size_t)r.pitch);
    filter(pixels, height, width, channels, &r, grid);
    transform(grid, block);
    set_bits(block, hashes);
    return quality_of(grid);
}
