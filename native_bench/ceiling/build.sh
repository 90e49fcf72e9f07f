#!/bin/sh
# Compile the ceiling for this machine: build.sh OUTPUT.so
# CC names the compiler; -march=native picks AVX-512, AVX2 or neither, see near_lanes() and distances().
set -eu
here=$(dirname "$0")
exec "${CC:-cc}" -std=c11 -O3 -march=native -Wall -Wextra -fPIC -shared -o "$1" "$here"/probe.c "$here"/scan.c "$here"/memory.c
