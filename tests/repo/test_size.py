"""Files and functions stay short enough to be read in one go."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping

from tests.repo import tree

MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 60

EXCEPTIONS: Mapping[str, str] = {}
"""``path`` or ``path::function`` to the reason why it may be longer."""


def too_long(path: str, source: str) -> Iterator[str]:
    """Names of what is over its limit: ``path``, ``path::function``, each with its length."""
    length = len(source.splitlines())
    if length > MAX_FILE_LINES:
        yield f"{path}: {length} lines, at most {MAX_FILE_LINES}"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            length = (node.end_lineno or first) - first + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{path}::{node.name}: {length} lines, at most {MAX_FUNCTION_LINES}"


@functools.cache
def found() -> list[str]:
    """Everything in the repository that is over its limit, excused or not."""
    hand_written = (path for path in tree.files(".py") if tree.written_by_hand(path))
    return [line for path in hand_written for line in too_long(path.as_posix(), tree.read(path))]


def test_no_file_and_no_function_is_over_its_limit() -> None:
    assert [line for line in found() if line.partition(": ")[0] not in EXCEPTIONS] == []


def test_every_exception_is_still_needed_and_says_why() -> None:
    needed = {line.partition(": ")[0] for line in found()}
    assert {name for name, reason in EXCEPTIONS.items() if name not in needed or not reason.strip()} == set()


def test_what_is_too_long_is_seen() -> None:
    body = "    pass\n"
    assert list(too_long("a.py", "pass\n" * 451)) == ["a.py: 451 lines, at most 450"]
    assert list(too_long("a.py", "pass\n" * 450)) == []
    assert list(too_long("a.py", "def f():\n" + body * 60)) == ["a.py::f: 61 lines, at most 60"]
    assert list(too_long("a.py", "def f():\n" + body * 59)) == []
    nested = "class C:\n    @staticmethod\n    async def g():\n" + "        pass\n" * 60
    assert list(too_long("a.py", nested)) == ["a.py::g: 62 lines, at most 60"]
