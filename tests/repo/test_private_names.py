"""Nothing in the repository tells on whose machine, or with what, it was written."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.repo import tree

PRIVATE = {
    "home directory": re.compile(
        r"(?<![\w.~-])/(?:home|Users)/(?!(?:someone|user)\b)\w|(?<![\w.~/-])/root/|\b[A-Z]:\\+Users\\"
    ),
    "checkout or scratch directory": re.compile(r"(?<![\w.~/-])/(?:work(?:space|dir)?|scratch|builds?)/\w"),
    "package mirror": re.compile(r"--(?:extra-)?index-url|--trusted-host|file:///(?:opt|srv|home)"),
    "internal host": re.compile(r"(?:://|@)[\w.-]+\.(?:internal|corp|lan|local|home)\b"),
    "signature of a writing tool": re.compile(r"(?i)^co-authored-by:|\bgenerated (?:with|by) \[|\U0001f916"),
}
ALLOWED = {
    ("Dockerfile", "/build/"): "a directory of the image's first stage",
}
"""``(path, text)`` to the reason why the text may stand there."""


def private(path: str, text: str) -> Iterator[str]:
    """Every line that says too much, as ``path:line: kind: line``."""
    excused = [allowed for where, allowed in ALLOWED if where == path]
    for number, line in enumerate(text.splitlines(), 1):
        shown = line
        for allowed in excused:
            shown = shown.replace(allowed, "")
        for kind, pattern in PRIVATE.items():
            if pattern.search(shown):
                yield f"{path}:{number}: {kind}: {line.strip()}"


def texts() -> Iterator[tuple[str, str]]:
    """Every text file but this one, which has to spell out what it looks for."""
    for path in tree.files():
        data = (tree.ROOT / path).read_bytes()
        if path.name != "test_private_names.py" and b"\0" not in data:
            yield path.as_posix(), data.decode("utf-8", "replace")


def test_no_private_name_is_in_the_repository() -> None:
    assert [line for path, text in texts() for line in private(path, text)] == []


def test_every_exception_is_still_needed() -> None:
    by_path = dict(texts())
    assert [where for where, text in ALLOWED if text not in by_path.get(where, "")] == []


def test_private_names_are_seen() -> None:
    samples = {
        'path = "/home/alice/photos"': "home directory",
        "cp /root/x .": "home directory",
        r"C:\Users\alice": "home directory",
        "see /workspace/x": "checkout or scratch directory",
        "pip install --extra-index-url https://x": "package mirror",
        "postgresql://db.corp/x": "internal host",
        "Co-authored-by: a tool": "signature of a writing tool",
    }
    assert {line: [kind.split(": ")[1] for kind in private("x.md", line)] for line in samples} == {
        line: [kind] for line, kind in samples.items()
    }
    innocent = "~/work/x /home/someone/x https://example.org/home/alice ../build/x /opt/x a/root/b protobuf.internal.x"
    assert list(private("x.md", innocent)) == []
