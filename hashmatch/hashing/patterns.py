"""Pictures made of whole numbers: the same pixels on every machine and with every version of NumPy.

Each kind is a formula in the coordinates, chosen for what it does to PDQ: noise has no ties, mirrored noise has nothing
but, flat pictures have no quality, stripes and checkers meet the box filter's window, ramps and rings are smooth.

What this module deliberately does not do: it uses no floating point and no random generator of a library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

MASK = 0xFFFFFFFF


def picture(kind: str, height: int, width: int, channels: int, size: int = 8) -> Pixels:
    """Draw a picture; shape (height, width) for one channel, (height, width, 3) for three.

    ``size`` is what the kind makes of it: a seed, the side of a cell, a brightness.
    """
    y, x, channel = np.indices((height, width, channels), dtype=np.int64)
    values = KINDS[kind](y, x, channel, size)
    pixels = (values & 255).astype(np.uint8)
    return pixels[:, :, 0] if channels == 1 else pixels


def _mixed(a: Numbers) -> Numbers:
    """Scramble 32 bits (the finalizer of MurmurHash3)."""
    a = a & MASK
    a = ((a ^ (a >> 16)) * 0x85EBCA6B) & MASK
    a = ((a ^ (a >> 13)) * 0xC2B2AE35) & MASK
    return a ^ (a >> 16)


def _noise(y: Numbers, x: Numbers, channel: Numbers, size: int) -> Numbers:
    return _mixed(_mixed(_mixed(y + 7919 * size) + x) + channel)


def _mirrored(y: Numbers, x: Numbers, channel: Numbers, size: int) -> Numbers:
    height, width, _ = y.shape
    return _noise(np.minimum(y, height - 1 - y), np.minimum(x, width - 1 - x), channel, size)


def _cells(y: Numbers, x: Numbers, channel: Numbers, size: int) -> Numbers:
    return _noise(y // size, x // size, channel, size)


def _checker(y: Numbers, x: Numbers, channel: Numbers, size: int) -> Numbers:
    return ((y // size + x // size) % 2) * (255 - 90 * channel)


def _stripes(y: Numbers, x: Numbers, channel: Numbers, size: int) -> Numbers:
    return (x // size % 2) * 200 + 20 * channel + 0 * y


def _ramp(y: Numbers, x: Numbers, channel: Numbers, size: int) -> Numbers:
    height, width, _ = y.shape
    slope: Numbers = 150 * y // height + 90 * x // width + 5 * channel + size
    return slope


def _rings(y: Numbers, x: Numbers, channel: Numbers, size: int) -> Numbers:
    height, width, _ = y.shape
    radius_squared = (y - height // 3) ** 2 + (x - width // 2) ** 2
    phase = (radius_squared // size + 40 * channel) % 510
    wave: Numbers = np.minimum(phase, 509 - phase)
    return wave


def _flat(y: Numbers, _x: Numbers, channel: Numbers, size: int) -> Numbers:
    return 0 * y + size + 11 * channel


KINDS: Mapping[str, Callable[[Numbers, Numbers, Numbers, int], Numbers]] = {
    "noise": _noise,
    "mirrored": _mirrored,
    "cells": _cells,
    "checker": _checker,
    "stripes": _stripes,
    "ramp": _ramp,
    "rings": _rings,
    "flat": _flat,
}
