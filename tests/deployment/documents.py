"""The files under ``deploy/``, read as those who get them do.

What this module deliberately does not do: it judges nothing.
"""

from __future__ import annotations

from typing import Any

import yaml

from tests.repo import tree


def one(path: str) -> dict[str, Any]:
    """Return the one document of a file."""
    return parsed(tree.read(path))


def parsed(text: str) -> dict[str, Any]:
    """Return the one document of ``text``."""
    document = yaml.safe_load(text)
    assert isinstance(document, dict)
    return document


def every(text: str) -> list[dict[str, Any]]:
    """Return the documents of ``text``."""
    return [document for document in yaml.safe_load_all(text) if document is not None]
