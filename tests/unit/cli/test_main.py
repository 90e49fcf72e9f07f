"""Errors to exit codes and one clear line; what a light command must not load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from hashmatch import __version__, errors
from hashmatch.cli import main as main_module
from hashmatch.cli.main import COMMANDS, cli, main
from hashmatch.cli.options import GlobalOptions, pass_options
from hashmatch.cli.output import ReaderGone
from hashmatch.errors import ExitCode, HashmatchError

HEAVY = ("numba", "numpy", "faiss", "PIL", "grpc", "google.protobuf", "imagehash", "rich", "sqlite3")


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Return a list whose only element the command ``fail`` raises."""
    to_raise: list[BaseException] = []

    @click.command("fail")
    @click.option("--json", is_flag=True, expose_value=False)
    @pass_options
    def fail(options: GlobalOptions) -> ExitCode:
        del options
        raise to_raise[0]

    monkeypatch.setattr(main_module, "fail", fail, raising=False)
    monkeypatch.setitem(COMMANDS, "fail", "hashmatch.cli.main:fail")
    return to_raise


def every_error() -> list[type[HashmatchError]]:
    """Return every class of the exception tree."""
    return [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, HashmatchError)]


@pytest.mark.parametrize("kind", every_error())
def test_every_error_ends_in_the_exit_code_of_its_class_and_one_line(
    kind: type[HashmatchError], raising: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    raising.append(kind("what is wrong\nwith \x1b[31mthis"))
    assert main(["fail"]) == kind.exit_code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error: what is wrong\\nwith \\x1b[31mthis\n"


def test_with_json_the_error_is_an_object_on_stderr(
    raising: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    raising.append(errors.SetNotFound("no set 'x'", field="name"))
    assert main(["fail", "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err) == {"error": "SET_NOT_FOUND", "message": "no set 'x'", "field": "name"}


def test_a_file_named_like_an_option_does_not_change_the_form_of_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hash", "--", "--json"]) == 2
    assert capsys.readouterr().err == "error: no such file or directory: --json\n"


def test_a_bug_is_called_one_and_its_traceback_is_a_matter_of_the_log_level(
    raising: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    raising.append(ZeroDivisionError("by zero"))
    assert main(["fail"]) == 4
    line = "error: this is a bug, please report it: ZeroDivisionError: by zero (traceback: --log-level debug)\n"
    assert capsys.readouterr().err == line
    assert main(["--log-level", "debug", "fail"]) == 4
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last):" in shown
    assert shown.endswith(line)


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (click.Abort(), 130), (ReaderGone(), 141)])
def test_an_interrupted_command_says_nothing(
    error: BaseException,
    code: int,
    raising: list[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(main_module, "_abandon_stdout", lambda: None)
    raising.append(error)
    assert main(["fail"]) == code
    assert capsys.readouterr().err.strip() == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["detekt"], "No such command 'detekt'. See `hashmatch --help`."),
        (["config", "shw"], "No such command 'shw'. Did you mean 'show'? See `hashmatch config --help`."),
        (["hash"], "Missing argument 'PATH...'. See `hashmatch hash --help`."),
        (["hash", "--nope", "x"], "No such option '--nope'. See `hashmatch hash --help`."),
        (["--log-level", "loud", "status"], "See `hashmatch --help`."),
        (["hashset", "create", "x"], "Missing option '--domain'. See `hashmatch hashset create --help`."),
        (["--config", "missing.toml", "config", "show"], "cannot read missing.toml: No such file or directory"),
    ],
)
def test_a_mistyped_command_is_bad_input_and_says_where_to_read_on(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert shown.endswith(message + "\n")
    assert shown.count("\n") == 1


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("Usage: hashmatch [OPTIONS] COMMAND [ARGS]...")


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"hashmatch {__version__}\n"


def commands(group: click.Group, *names: str) -> list[tuple[str, ...]]:
    """Return the names of every command below ``group``."""
    ctx = click.Context(group)
    found: list[tuple[str, ...]] = []
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        found.append((*names, name))
        if isinstance(command, click.Group):
            found.extend(commands(command, *names, name))
    return found


def test_the_commands_are_those_of_the_design() -> None:
    assert {" ".join(names) for names in commands(cli)} == {
        *("serve", "hash", "detect", "urlcheck", "rescan", "status", "config", "config show", "hashset"),
        *("bench", "bench search", "bench hash", "bench import", "bench distances", "bench robustness"),
        *("bench detect", "bench urlcheck", "hotline notices"),
        *("hashset formats", "hashset diff", "hashset keygen", "hashset manifest", "hashset sync"),
        *(f"hashset {name}" for name in ("create", "import", "author", "export", "list", "show", "mode")),
        *("keys", "keys create", "keys list", "keys show", "keys change", "keys rotate", "keys revoke"),
        *("hotline", "hotline links", "hotline notified", "hotline watched", "hotline recheck", "hotline stats"),
        *("evidence", "evidence verify", "evidence show", "evidence export"),
        *("audit", "audit verify", "audit head", "audit show"),
        *("report", "report list", "report show", "report create", "report render", "report formats", "report stats"),
        *(
            f"report {name}"
            for name in ("send", "outbox", "decide", "deliver", "relay", "hold", "release", "complaint")
        ),
        *(f"report {name}" for name in ("confirm", "reject", "close", "reopen")),
        *(f"hashset {name}" for name in ("withdraw", "dispute", "quarantine", "reinstate", "vote", "history")),
    }


@pytest.mark.parametrize(
    "names",
    [
        pair
        for pair in commands(cli)
        if pair
        not in {(group,) for group in ("config", "hashset", "report", "hotline", "evidence", "bench", "keys", "audit")}
    ],
)
def test_every_command_explains_itself_with_an_example(
    names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*names, "--help"]) == 0
    text = capsys.readouterr().out
    example = text.partition("  Examples:\n")[2]
    assert f"hashmatch {' '.join(names)}" in example
    assert "Global options, before or after the command:" in text


def run_and_list_modules(*arguments: str) -> set[str]:
    """Run a command in a fresh Python and return which of the heavy modules it loaded."""
    program = (
        "import sys; from hashmatch.cli.main import main; code = main(sys.argv[2:]);"
        "print(*[name for name in sys.argv[1].split(',') if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, ",".join(HEAVY), *arguments],
        capture_output=True, text=True, check=True, env={**os.environ, "HASHMATCH_DATA": "unused"},
    )  # fmt: skip
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("hash", "--help"), ("config", "show", "--json"), ("serve", "--help")]
)
def test_a_light_command_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert run_and_list_modules(*arguments) == set()


def test_digests_alone_need_neither_workers_nor_decoders(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"a")
    assert run_and_list_modules("hash", str(path), "--algorithm", "md5,sha256", "--json") == set()
