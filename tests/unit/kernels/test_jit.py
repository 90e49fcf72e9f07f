"""How the kernels are compiled: one signature each, no fastmath, no GIL, cached; and that plain Python agrees."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
from typing import Any

import pytest
import simplejpeg
from numba.extending import is_jitted

from hashmatch.hashing import baseline
from hashmatch.hashing.patterns import picture
from hashmatch.kernels import __main__ as warm_up
from hashmatch.kernels import _jpeg_codes, _jpeg_tables, _pdq_bits, _pdq_filter, _pdq_fused, jpeg
from hashmatch.kernels._jit import int64, kernel
from hashmatch.kernels.pdq import pdq, pdq_nearest512

TINY = [("mirrored", 64, 64, 3, 2), ("cells", 21, 13, 3, 2), ("noise", 5, 6, 1, 4), ("rings", 9, 140, 3, 3)]

PROGRAM = """
from hashmatch.kernels.pdq import pdq, pdq_nearest512
from tests.unit.kernels.test_jit import TINY
from hashmatch.hashing.patterns import picture
for recipe in TINY:
    for function in (pdq, pdq_nearest512):
        result = function(picture(*recipe))
        print(result.hashes.tobytes().hex(), result.quality)
from tests.unit.kernels.test_jit import decoded
print(decoded())
"""


def decoded() -> str:
    """Return a digest of what our decoder makes of small JPEGs in each kind of subsampling."""
    digest = hashlib.sha256()
    for number, kind in enumerate(("444", "422", "420")):
        data = simplejpeg.encode_jpeg(picture("noise", 33, 35 + number, 3), 70, "RGB", kind)
        for pixels in (baseline.decode(data, (35 + number, 33)), baseline.decode_means(data, (35 + number, 33))):
            assert pixels is not None
            digest.update(pixels.tobytes())
    return digest.hexdigest()


def kernels() -> list[Any]:
    return [
        item
        for module in (_pdq_filter, _pdq_fused, _pdq_bits, _jpeg_codes, _jpeg_tables, jpeg)
        for item in vars(module).values()
        if is_jitted(item) and item.__module__ == module.__name__
    ]


@pytest.mark.parametrize("compiled", kernels(), ids=lambda compiled: compiled.__name__)
def test_options(compiled: Any) -> None:
    assert compiled.targetoptions["nogil"] is True
    assert compiled.targetoptions["fastmath"] is False
    assert len(compiled.signatures) == 1


def test_a_kernel_takes_no_other_types() -> None:
    with pytest.raises(TypeError, match="No matching definition"):
        _pdq_bits.quality(picture("noise", 64, 64, 1))  # type: ignore[arg-type]


def test_warm_up_tells_what_and_where() -> None:
    out = io.StringIO()
    warm_up.main(out)
    *modules, total = out.getvalue().splitlines()
    line = next(text for text in modules if text.startswith("hashmatch.kernels._pdq_filter: "))
    assert line.endswith(f" compiled; {_pdq_filter.luma.stats.cache_path}")  # type: ignore[attr-defined]
    assert re.fullmatch(r"\d+ kernels ready in \d+\.\d s", total)


def test_second_start_compiles_nothing_and_warns_of_nothing() -> None:
    warm_up.main(io.StringIO())
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "hashmatch.kernels"], capture_output=True, text=True, check=True
    )
    assert run.stderr == ""
    *modules, _ = run.stdout.splitlines()
    assert [text for text in modules if " loaded, 0 compiled; " not in text] == []
    assert len(modules) >= len({compiled.__module__ for compiled in kernels()})


def test_where_nothing_can_be_cached_kernels_compile_all_the_same() -> None:
    """Code without a file has nowhere to be cached, like a read-only installation without a writable home."""
    namespace: dict[str, Any] = {}
    exec("def double(n): return 2 * n", namespace)  # noqa: S102  (the only way to a function without a file)
    double = kernel(int64, int64)(namespace["double"])
    assert double(21) == 42
    assert double.stats.cache_path is None


def test_plain_python_gives_the_same_bits() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
    compiled = [function(picture(*recipe)) for recipe in TINY for function in (pdq, pdq_nearest512)]
    *hashed, digest = run.stdout.splitlines()
    assert hashed == [f"{result.hashes.tobytes().hex()} {result.quality}" for result in compiled]
    assert digest == decoded()
