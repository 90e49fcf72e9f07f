"""The generated pages are those of this program, and a page that is not is noticed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import click
import pytest

from hashmatch import errors, model
from hashmatch.cli.main import cli
from hashmatch.config import Config, rows

SCRIPT = Path(__file__).parents[3] / "docs" / "generate.py"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """Return docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_pages_are_current(generate: ModuleType) -> None:
    assert [path.name for path in generate.stale(generate.pages())] == []


def test_a_page_that_differs_or_is_missing_is_noticed(
    generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "REFERENCE", tmp_path)
    assert generate.run([]) == 0
    assert generate.run(["--check"]) == 0
    (tmp_path / "cli.md").write_text("# Something else\n", encoding="utf-8")
    (tmp_path / "errors.md").unlink()
    assert generate.run(["--check"]) == 1
    assert capsys.readouterr().err == (
        "docs/reference/cli.md differs from what the program says; run `make docs`\n"
        "docs/reference/errors.md differs from what the program says; run `make docs`\n"
    )


def test_every_table_belongs_to_a_command(generate: ModuleType) -> None:
    for name in generate.ROWS:
        command: click.Command | None = cli
        for part in name.split():
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command), part)
        assert command is not None, name


def test_every_setting_error_and_reason_is_on_a_page(generate: ModuleType) -> None:
    pages = {path.name: text for path, text in generate.pages().items()}
    for row in rows(Config(), environ={}):
        if not row.name.startswith(("policy.algorithms.", "policy.view_limits.")):
            assert f"| `{row.name}` |" in pages["config.md"]
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.HashmatchError):
            assert f"| `{kind.reason()}` | `{kind.status}` | {int(kind.exit_code)} |" in pages["errors.md"]
    for refusal in model.Refusal:
        assert f"| `{refusal}` |" in pages["errors.md"]


def test_a_bar_does_not_end_a_cell(generate: ModuleType) -> None:
    assert list(generate.table(("a", "b"), [("x|y", "z")])) == ["| a | b |", "|---|---|", r"| x\|y | z |"]
