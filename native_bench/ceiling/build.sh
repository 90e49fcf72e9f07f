#!/bin/sh
# Compile the ceiling: build.sh OUTPUT.so
# CC names the compiler. CEILING_CFLAGS names the processor; -march=native, which is the default, picks AVX-512, AVX2 or
# neither: see near_lanes() and distances().
set -eu
here=$(dirname "$0")
# shellcheck disable=SC2086 - flags are several words
exec "${CC:-cc}" -std=c11 -O3 ${CEILING_CFLAGS:--march=native} -ffp-contract=off -Wall -Wextra -fPIC -shared -o "$1" \
  "$here/probe.c" "$here/scan.c" "$here/tables.c" "$here/memory.c" "$here/pdq.c" -lm
