"""The conformance check: it passes here, and nothing that is nearly PDQ passes it."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from hashmatch.cli.hash import CONFORMANCE_FIELDS, print_conformance
from hashmatch.cli.options import GlobalOptions
from hashmatch.cli.output import Output
from hashmatch.errors import ExitCode
from hashmatch.hashing import conformance
from hashmatch.hashing.conformance import Compared, compare
from hashmatch.hashing.patterns import Pixels
from hashmatch.kernels.pdq import PdqHashes, pdq, pdq_nearest512


def test_this_machine_conforms() -> None:
    compared = list(compare())
    assert [row for row in compared if not row.conforms] == []
    assert {row.algorithm for row in compared} == {"pdq", "pdq-nearest512"}
    assert len(compared) >= 40


def one_bit_off(pixels: Pixels) -> PdqHashes:
    found = pdq(pixels)
    found.hashes[0, 31] ^= 1
    return found


def quality_rounded_up(pixels: Pixels) -> PdqHashes:
    found = pdq(pixels)
    return PdqHashes(found.hashes, found.quality + 1)


def mirrored_wrongly(pixels: Pixels) -> PdqHashes:
    found = pdq(pixels)
    return PdqHashes(found.hashes[[0, 1, 2, 3, 5, 4, 6, 7]], found.quality)


def words_reversed(pixels: Pixels) -> PdqHashes:
    found = pdq(pixels)
    return PdqHashes(found.hashes.reshape(8, 16, 2)[:, ::-1].reshape(8, 32), found.quality)


@pytest.mark.parametrize(
    ("impostor", "least"),
    [
        (one_bit_off, 24),
        (quality_rounded_up, 24),
        (mirrored_wrongly, 10),
        (words_reversed, 10),
        (pdq_nearest512, 4),  # the other dialect: equal up to 512 pixels, but for rounding
        (lambda pixels: pdq(np.ascontiguousarray(pixels[: len(pixels) // 2 * 2])), 2),
    ],
)
def test_what_is_nearly_pdq_is_found_out(impostor: Callable[[Pixels], PdqHashes], least: int) -> None:
    wrong = [row for row in compare({"pdq": impostor}) if not row.conforms]
    assert len(wrong) >= least


def test_a_difference_is_said_in_numbers() -> None:
    (first, *_) = compare({"pdq": one_bit_off})
    assert (first.hash_bits, first.quality_off, first.wrong_orientations) == (1, 0, ())
    (first, *_) = compare({"pdq": quality_rounded_up})
    assert (first.hash_bits, first.quality_off, first.wrong_orientations) == (0, 1, ())
    wrong = {row.wrong_orientations for row in compare({"pdq": mirrored_wrongly})}
    assert ("flipx", "flipy") in wrong


def test_other_pixels_are_not_blamed_on_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "picture", lambda **_: np.zeros((9, 9), np.uint8))
    rows = list(compare())
    assert not any(row.pixels_match for row in rows)
    assert not any(row.conforms for row in rows)


def test_json_has_the_documented_keys_and_the_exit_code_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    right = Compared("ramp", "pdq", pixels_match=True, hash_bits=0, quality_off=0, wrong_orientations=())
    wrong = Compared("ramp", "pdq", pixels_match=True, hash_bits=2, quality_off=-1, wrong_orientations=("rot90",))
    output = Output(GlobalOptions(json=True))
    assert print_conformance(output, [right]) is ExitCode.CLEAN
    assert print_conformance(output, [right, wrong]) is ExitCode.INTEGRITY
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert [row["conforms"] for row in rows] == [True, True, False]
    assert all(tuple(row) == tuple(CONFORMANCE_FIELDS) for row in rows)
    assert rows[2]["wrong_orientations"] == ["rot90"]
    assert printed.err.splitlines() == [
        "all 1 values are PDQ's, in hash, quality and all eight orientations",
        "1 of 2 values differ from PDQ: do not use hashes from this machine",
    ]


def test_people_see_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = Compared("ramp", "pdq", pixels_match=True, hash_bits=2, quality_off=-1, wrong_orientations=("rot90",))
    print_conformance(Output(GlobalOptions()), [wrong])
    assert capsys.readouterr().err.splitlines()[1] == "ramp\tpdq\t2 bits off\t-1 off\trot90\tno"
