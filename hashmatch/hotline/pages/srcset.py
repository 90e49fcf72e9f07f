"""The images of a ``srcset`` (pure).

Source
------
HTML, 4.8.4.3.10 "Parsing a srcset attribute": addresses end at white space, commas at their end belong to the list, and
commas inside parentheses separate nothing.
"""

from __future__ import annotations

import re

_SPACE = "\t\n\f\r "
_SEPARATORS = re.compile(r"[\t\n\f\r ,]*+")
_ADDRESS = re.compile(r"[^\t\n\f\r ]++")
_DESCRIPTORS = re.compile(r"(?:\([^)]*+\)?|[^,(])*+")
_DESCRIPTOR = re.compile(r"(?:^|[\t\n\f\r ])([0-9.eE+-]++)([wxh])(?=$|[\t\n\f\r ])")


def candidates(text: str) -> list[str]:
    """Return the addresses of a ``srcset``, the largest image first, then in their order.

    Unlike a browser it keeps those whose descriptors are wrong: their images can be fetched all the same.
    """
    found: list[tuple[float, str]] = []
    position = 0
    while True:
        separators = _SEPARATORS.match(text, position)
        position = separators.end() if separators else position
        address = _ADDRESS.match(text, position)
        if address is None:
            break
        position = address.end()
        url = address[0].rstrip(",")
        descriptors = ""
        if url == address[0]:
            rest = _DESCRIPTORS.match(text, position)
            descriptors = rest[0] if rest else ""
            position = rest.end() if rest else position
        if url:
            found.append((_size(descriptors.strip(_SPACE)), url))
    if not found:
        return []
    largest = max(range(len(found)), key=lambda index: found[index][0])
    first = found.pop(largest)
    return [url for _, url in (first, *found)]


def _size(descriptors: str) -> float:
    """Order of an image among others: its width, or its density, which is 1 where nothing is said."""
    for number, unit in _DESCRIPTOR.findall(descriptors):
        try:
            size = float(number)
        except ValueError:
            continue
        if unit in {"w", "x"}:
            return size if size == size else 0.0  # noqa: PLR0124 - not a number
    return 1.0
