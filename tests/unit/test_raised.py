"""Where something was raised, without what it was about."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from hashmatch.raised import INNERMOST, raised_at

CANARY = "canary.example.org"


def caught(work: Callable[[], object]) -> Exception:
    """Return what some work raises."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the test is about
        return error
    raise AssertionError("nothing was raised")


def refusing(left: int) -> None:
    """Raise, ``left`` calls further in."""
    if left:
        refusing(left - 1)
    raise ValueError(f"{CANARY} is refused")


def test_the_innermost_frame_comes_first_and_no_more_than_three_are_named() -> None:
    assert INNERMOST == 3
    places = raised_at(caught(lambda: refusing(5))).split(" < ")
    here = r"tests/unit/test_raised\.py:\d+ refusing"
    assert [bool(re.fullmatch(here, one)) for one in places] == [True, True, True]
    raising, calling, _ = (int(one.split(":")[1].split()[0]) for one in places)
    assert raising == calling + 1, "the line that raises stands below the one that calls"


def test_of_a_file_that_is_not_ours_only_the_last_part_is_named() -> None:
    places = raised_at(caught(lambda: json.loads(f'{{"{CANARY}"'))).split(" < ")
    assert [one.split(":")[0] for one in places] == ["decoder.py", "decoder.py", "__init__.py"]


def test_neither_text_nor_values_nor_source_lines_are_in_it() -> None:
    said = raised_at(caught(lambda: refusing(0)))
    assert CANARY not in said
    assert "ValueError" not in said
    assert re.fullmatch(r"tests/unit/test_raised\.py:\d+ refusing( < tests/unit/test_raised\.py:\d+ [\w<>]+){2}", said)


def test_what_was_never_raised_has_no_place() -> None:
    assert raised_at(ValueError(CANARY)) == ""
