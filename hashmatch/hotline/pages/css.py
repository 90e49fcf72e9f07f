"""Addresses in CSS: ``url()``, ``src()``, ``image-set()`` and what a stylesheet imports (pure).

Theory of operation
-------------------
The text is cut into tokens by tinycss2, which recovers from anything, and the tokens are walked with a stack of our
own: blocks nest as deep as a page likes. Nothing is parsed that names no address, and at most :data:`MAX_CHARS` of a
text, since a token costs some microseconds.

What this module deliberately does not do: it knows no property and no selector. A background that no element has is
found too, which costs a fetch and misses nothing.

Source
------
CSS Syntax 3; CSS Images 4, 2.4 (``image-set``); CSS Cascade 4, 2 (``@import``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import tinycss2

MAX_CHARS = 1 << 20
_ADDRESS = re.compile(r"url|src|image-set|@import|\\", re.IGNORECASE)
_URL_FUNCTIONS = frozenset({"url", "src"})
_SET_FUNCTIONS = frozenset({"image-set", "-webkit-image-set"})
_IMPORT, _NAMESPACE = "import", "namespace"


@dataclass(frozen=True, slots=True)
class Reference:
    """An address as it stands in CSS; ``imported``: of another stylesheet."""

    url: str
    imported: bool = False


def references(text: str) -> Iterator[Reference]:
    """Yield the addresses of a stylesheet, or of a ``style`` attribute, in their order.

    Parameters
    ----------
    text : str
        Only the first :data:`MAX_CHARS` are read.

    """
    text = text[:MAX_CHARS]
    if not _ADDRESS.search(text):
        return
    rule = ""
    for token, in_set in _flat(tinycss2.parse_component_value_list(text, skip_comments=True)):
        if token.type == "at-keyword":
            rule = token.lower_value
            continue
        url = _url(token, in_set=in_set or rule == _IMPORT)
        if url is not None and rule != _NAMESPACE:
            yield Reference(url, imported=rule == _IMPORT)
        if token.type != "whitespace":
            rule = rule if rule == _NAMESPACE and url is None else ""


def _flat(tokens: Iterable[Any]) -> Iterator[tuple[Any, bool]]:
    """Yield every token, those inside blocks and functions too, and whether it stands directly in an image set."""
    stack = [(iter(tokens), False)]
    while stack:
        inner, in_set = stack[-1]
        token = next(inner, None)
        if token is None:
            stack.pop()
            continue
        yield token, in_set
        if token.type == "function":
            stack.append((iter(token.arguments), token.lower_name in _SET_FUNCTIONS))
        elif token.type in {"{} block", "() block", "[] block"}:
            stack.append((iter(token.content), False))


def _url(token: Any, *, in_set: bool) -> str | None:
    """Return the address that a token is; a plain string is one in an image set and after ``@import``."""
    if token.type == "url":
        return str(token.value)
    if token.type == "string" and in_set:
        return str(token.value)
    if token.type == "function" and token.lower_name in _URL_FUNCTIONS:
        return next((str(inner.value) for inner in token.arguments if inner.type == "string"), None)
    return None
