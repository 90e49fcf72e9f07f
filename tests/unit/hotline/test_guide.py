"""The guide's table of outcomes is that of the program."""

from __future__ import annotations

import re
from pathlib import Path

from hashmatch.errors import ExitCode
from hashmatch.hotline.jobs.gravity import ANSWERED, GRAVITY
from hashmatch.hotline.outputs.formats import FORMATS

GUIDE = (Path(__file__).parents[3] / "docs" / "guide" / "hotline.md").read_text("utf-8")


def section(title: str) -> str:
    return GUIDE.split(f"## {title}\n")[1].split("\n## ")[0]


def test_every_outcome_is_in_the_table_the_gravest_first() -> None:
    assert re.findall(r"^\| `(\w+)` \|", section("Outcomes"), re.MULTILINE) == [outcome.value for outcome in GRAVITY]


def test_every_format_is_in_the_table() -> None:
    assert sorted(re.findall(r"^\| `(\w+)` \|", section("Results").split("| column |")[0], re.MULTILINE)) == sorted(
        FORMATS
    )


def test_the_exit_codes_are_those_of_the_program() -> None:
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", section("Exit codes"), re.MULTILINE)]
    assert codes == [*(int(code) for code in ExitCode if code is not ExitCode.INTEGRITY), 130]
    clean = re.findall(r"^\| 0 \| every address was (.*) \|", section("Exit codes"), re.MULTILINE)[0]
    assert set(re.findall(r"`(\w+)`", clean)) == {outcome.value for outcome in ANSWERED}
