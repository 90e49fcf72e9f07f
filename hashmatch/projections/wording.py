"""Phrases, dates and numbers of letters, in the four languages that letters are written in.

Theory of operation
-------------------
``templates/phrases.toml`` is a table from a dotted key to one text per language; placeholders are those of
``str.format``. What is put in is never parsed again, so a brace in a file name is a brace. The tables are read once,
with the module, and a key that lacks a language stops the import rather than a letter.

What this module deliberately does not do: it lays nothing out, and knows no case.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

LANGUAGES: Final = ("en", "nl", "fr", "de")

FILE: Final = "templates/phrases.toml"


def flattened(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Mapping[str, str]]:
    """Return dotted keys to their texts by language.

    Raises
    ------
    ValueError
        A key has other languages than :data:`LANGUAGES`, or an empty text.

    """
    found: dict[str, Mapping[str, str]] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and any(isinstance(inner, Mapping) for inner in value.values()):
            found |= flattened(value, f"{name}.")
        elif (
            not isinstance(value, Mapping)
            or set(value) != set(LANGUAGES)
            or not all(isinstance(text, str) and text for text in value.values())
        ):
            raise ValueError(f"{FILE}: {name}: expected a text in each of {', '.join(LANGUAGES)}")
        else:
            found[name] = MappingProxyType(dict(value))
    return found


PHRASES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    flattened(tomllib.loads(resources.files("hashmatch.projections").joinpath(FILE).read_text("utf-8")))
)
"""Dotted key to language to text."""


class Words:
    """The phrases of one language."""

    def __init__(self, language: str) -> None:
        self.language = language

    def __repr__(self) -> str:
        return f"<Words: {self.language}, {len(PHRASES)} phrases>"

    def __call__(self, key: str, **values: object) -> str:
        """Return a phrase with its placeholders filled."""
        return PHRASES[key][self.language].format(**values)

    def number(self, number: int) -> str:
        """Return a number in groups of thousands as the language has them."""
        return f"{number:,}".replace(",", PHRASES["thousands"][self.language])

    def day(self, day: dt.date) -> str:
        """Return a date, the month in words."""
        months = self("months").split(",")
        number = self("first_day") if day.day == 1 else str(day.day)
        return self("day", day=number, month=months[day.month - 1], year=day.year)

    def moment(self, at: dt.datetime) -> str:
        """Return a time to the second, in its own zone, which is written out as an offset from UTC."""
        offset = at.strftime("%z")
        zone = "UTC" if offset in {"+0000", "-0000"} else f"UTC{offset[:3]}:{offset[3:5]}"
        return self("moment", day=self.day(at.date()), time=f"{at:%H:%M:%S}", zone=zone)


def shown(text: str) -> str:
    r"""Return a text in which nothing is invisible: control and direction characters are spelled out.

    Examples
    --------
    >>> shown("photo\u202egpj.exe")
    'photo\\u202egpj.exe'

    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
