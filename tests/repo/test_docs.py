"""What the documentation tells people to click and to type exists.

Links between files lead somewhere, ``make X`` is a target, and every ``hashmatch …`` line is taken by the command tree:
commands and options by name, nothing is run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from hashmatch.audit.wording import KINDS
from hashmatch.cli.main import cli
from tests.repo import tree

LINK = re.compile(r"!?\[[^\]]*\]\((?P<inline>[^)\s]+)(?: \"[^\"]*\")?\)|^\[[^\]]+\]: (?P<reference>\S+)$", re.MULTILINE)
FENCE = re.compile(r"^ *(`{3,}|~{3,})(?P<language>[\w-]*)[^\n]*\n(?P<body>.*?)^ *\1 *$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^(?: {4}|\t)(?![-*\d|])(?P<line>\S.*)$", re.MULTILINE)
INLINE = re.compile(r"(?<!`)`(?P<code>[^`\n]+)`(?!`)")
SHELL = frozenset({"", "sh", "bash", "shell", "console"})
CHOICE = "\N{SYMBOL FOR UNIT SEPARATOR}"
"""Stands for the ``|`` of a synopsis (``create|list``), which is no pipe."""
PLACEHOLDER = re.compile(r"[\[\]…]|\.\.\.|[<>]")


def links(text: str) -> Iterator[str]:
    """Targets of links, those in code left out."""
    prose = INLINE.sub("", FENCE.sub("", text))
    for match in LINK.finditer(prose):
        yield match["inline"] or match["reference"]


def dead_links(root: Path, page: Path, text: str) -> Iterator[str]:
    """Relative links of ``page`` that lead to no file, or to no heading of one."""
    for link in links(text):
        if re.match(r"[a-z][a-z+.-]*:", link):
            continue
        where, _, anchor = link.partition("#")
        target = (root / page).parent / where if where else root / page
        if not target.exists():
            yield f"{page}: {link}: no such file"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            yield f"{page}: {link}: no such heading"


def anchors(text: str) -> set[str]:
    """Anchors that a forge makes from the headings."""
    headings = re.findall(r"^#+ +(.+?) *#*$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def typed(text: str) -> Iterator[str]:
    """Lines that a reader is told to type: in shell blocks, indented blocks and inline code."""
    for match in FENCE.finditer(text):
        if match["language"] in SHELL:
            yield from re.sub(r"\\\n\s*", "", match["body"]).splitlines()
    rest = FENCE.sub("", text)
    yield from (match["line"] for match in INDENTED.finditer(re.sub(r"\\\n\s*", "", rest)))
    yield from (match["code"] for match in INLINE.finditer(rest))


def commands(line: str) -> Iterator[list[str]]:
    """Words of each ``make`` and ``hashmatch`` command in a shell line, also of one that runs in a container."""
    synopsis = re.sub(r"(?<=\w)\|(?=\w)", CHOICE, line.strip().removeprefix("$ "))
    lexer = shlex.shlex(synopsis, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    words: list[str] = []
    try:
        for token in [*lexer, ";"]:
            if not set(token) <= set("|&;<>()"):
                words.append(token)
                continue
            yield from _ours(words)
            words = []
    except ValueError:  # an unbalanced quote: prose in code type, not a shell line
        return


def _ours(words: list[str]) -> Iterator[list[str]]:
    while words and re.fullmatch(r"\w+=.*|sudo", words[0]):
        words = words[1:]
    if words and words[0] in {"make", "hashmatch"}:
        yield words
    if words[:1] and words[0] in {"docker", "podman"} and "hashmatch" in words:
        inside = words[len(words) - words[::-1].index("hashmatch") - 1 :]
        if len(inside) > 1 and "exec" in words:
            yield inside


def unknown_words(words: list[str]) -> str | None:
    """Return the first word of a ``hashmatch`` command line that the command tree does not take, or None."""
    command: click.Command = cli
    context = click.Context(cli)
    rest = [word for word in (PLACEHOLDER.sub("", word) for word in words[1:]) if word]
    while rest:
        word = rest.pop(0)
        if word.startswith("-") and word != "-":
            name, equals, _ = word.partition("=")
            options = [item for item in command.params if isinstance(item, click.Option)]
            option = next((item for item in options if name in (*item.opts, *item.secondary_opts)), None)
            if option is None and name not in {"-h", "--help"}:
                return word
            if option is not None and not option.is_flag and not equals:
                rest = rest[1:]
        elif isinstance(command, click.Group):
            found = {name: command.get_command(context, name) for name in word.split(CHOICE)}
            if None in found.values():
                return next(name for name, subcommand in found.items() if subcommand is None)
            command = next(iter(found.values())) or command
    return None


def wrong_commands(text: str, targets: set[str]) -> Iterator[str]:
    """Lines with a make target or a hashmatch command that does not exist."""
    for line in typed(text):
        for words in commands(line):
            if words[0] == "make":
                named = [word for word in words[1:] if re.fullmatch(r"[a-z][a-z-]*", word)]
                yield from (f"make {name}" for name in named if name not in targets)
            elif (wrong := unknown_words(words)) is not None:
                yield f"{wrong} in: {line.strip()}"


def make_targets(makefile: str) -> set[str]:
    """Targets that have a name one can type."""
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE))


def untold(kinds: Iterable[str], text: str) -> set[str]:
    """Kinds of records that no row of a page's tables names in its first column."""
    rows = re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE)
    return set(kinds) - {match["code"] for row in rows for match in INLINE.finditer(row)}


PAGES = tree.files(".md")
TARGETS = make_targets(tree.read("Makefile"))


def test_every_relative_link_leads_somewhere() -> None:
    assert [wrong for page in PAGES for wrong in dead_links(tree.ROOT, page, tree.read(page))] == []


def test_every_command_in_the_documentation_exists() -> None:
    assert [f"{page}: {wrong}" for page in PAGES for wrong in wrong_commands(tree.read(page), TARGETS)] == []


def test_every_kind_of_audit_record_is_explained() -> None:
    assert untold(KINDS, tree.read("docs/guide/audit.md")) == set()
    assert untold(["a", "b.c", "d"], "| kind | says |\n|---|---|\n| `a`, `b.c` | also `d` |\n") == {"d"}


def test_every_make_target_has_a_help_text_and_is_phony() -> None:
    makefile = tree.read("Makefile")
    helped = set(re.findall(r"^([a-z][a-z-]*):.*## \S", makefile, re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY:(.*)$", makefile, re.MULTILINE)[0].split())
    assert (TARGETS - helped, TARGETS ^ phony) == (set(), set())


def test_dead_links_are_seen(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# One\n\n## Two: or `three`?\n")
    text = (
        "[a](../README.md) [b](../README.md#two-or-three) [c](#here) [d](https://example.org/x)\n# Here\n"
        "[e](gone.md) ![f](gone.png) [g](../README.md#four) [h](#there) `[i](code.md)`\n"
        "```\n[j](block.md)\n```\n[k]: ../gone.txt\n"
    )
    (tmp_path / "docs" / "page.md").write_text(text)
    assert list(dead_links(tmp_path, Path("docs/page.md"), text)) == [
        "docs/page.md: gone.md: no such file",
        "docs/page.md: gone.png: no such file",
        "docs/page.md: ../README.md#four: no such heading",
        "docs/page.md: #there: no such heading",
        "docs/page.md: ../gone.txt: no such file",
    ]


def test_commands_that_do_not_exist_are_seen() -> None:
    text = """
Run `make nothing`, `make check` or `hashmatch statsu`; `hashmatch` alone is a word, `make`, `don't` too.

    hashmatch hash photos/ --jsn
    hashmatch --data /x hash photos/ --json | hashmatch hashset imprt known -

```sh
$ X=1 hashmatch detect a.jpg --set known \\
    --srever 127.0.0.1:50051   # a comment
docker compose exec hashmatch hashmatch hashset lsit
hashmatch hashset create|lsit …
hashmatch config show [--jsno]
```

```python
hashmatch nothing
```
"""
    assert sorted(wrong_commands(text, {"check"})) == [
        "--jsn in: hashmatch hash photos/ --jsn",
        "--jsno in: hashmatch config show [--jsno]",
        "--srever in: $ X=1 hashmatch detect a.jpg --set known --srever 127.0.0.1:50051   # a comment",
        "imprt in: hashmatch --data /x hash photos/ --json | hashmatch hashset imprt known -",
        "lsit in: docker compose exec hashmatch hashmatch hashset lsit",
        "lsit in: hashmatch hashset create|lsit …",
        "make nothing",
        "statsu in: hashmatch statsu",
    ]
