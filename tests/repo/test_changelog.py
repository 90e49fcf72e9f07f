"""CHANGELOG.md tells what is new, and names the version that the package says it is."""

from __future__ import annotations

import re

from hashmatch import __version__
from tests.repo import tree

HEADING = re.compile(r"^## \[?(?P<name>Unreleased|\d+\.\d+\.\d+)\]?(?: - \d{4}-\d{2}-\d{2})?$", re.MULTILINE)


def sections(changelog: str) -> dict[str, str]:
    """Heading to the text under it, in the file's order."""
    found = list(HEADING.finditer(changelog))
    ends = [match.start() for match in found[1:]] + [len(changelog)]
    return {match["name"]: changelog[match.end() : end].strip() for match, end in zip(found, ends, strict=False)}


def problems(changelog: str, version: str) -> list[str]:
    """Say what is wrong with the changelog of a package at ``version``."""
    parts = sections(changelog)
    if not parts:
        return ["there is neither an Unreleased section nor one of a version"]
    first = next(iter(parts))
    wrong = [f"the section {name} is empty" for name, text in parts.items() if not text and name != "Unreleased"]
    if first not in {"Unreleased", version}:
        wrong.append(f"the newest section is {first}, the package says {version}")
    if first == "Unreleased" and not parts[first] and version not in parts:
        wrong.append(f"Unreleased is empty and {version} has no section")
    return wrong


def test_the_changelog_is_about_this_version() -> None:
    assert problems(tree.read("CHANGELOG.md"), __version__) == []


def test_a_changelog_that_was_forgotten_is_seen() -> None:
    assert problems("# Changelog\n", "1.0.0") == ["there is neither an Unreleased section nor one of a version"]
    assert problems("## 0.9.0 - 2026-01-01\n\n- x\n", "1.0.0") == [
        "the newest section is 0.9.0, the package says 1.0.0"
    ]
    assert problems("## [Unreleased]\n\n## 0.9.0\n\n- x\n", "1.0.0") == ["Unreleased is empty and 1.0.0 has no section"]
    assert problems("## 1.0.0\n", "1.0.0") == ["the section 1.0.0 is empty"]
    assert problems("## Unreleased\n\n- x\n", "1.0.0") == []
