"""Global options: before and after the command, the later one wins, the command line beats the environment."""

from __future__ import annotations

import logging
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hashmatch.cli.options import Command, GlobalOptions, Group, example, pass_options
from hashmatch.errors import BadConfig, BadInput, ExitCode

seen: list[GlobalOptions] = []


@click.group(cls=Group)
def root() -> None:
    """Root."""


@root.group(cls=Group)
def inner() -> None:
    """Inner."""


@inner.command("do", cls=Command, epilog=example("root inner do X"))
@click.option("--own", help="An option of its own.")
@click.argument("word", required=False)
@pass_options
def do(options: GlobalOptions, own: str | None, word: str | None) -> ExitCode:
    """Do it."""
    del own, word
    seen.append(options)
    return ExitCode.CLEAN


def run(*arguments: str, env: dict[str, str] | None = None) -> GlobalOptions:
    result = CliRunner(env=env).invoke(root, arguments)
    assert result.exit_code == 0, result.output
    return seen.pop()


EVERYTHING = ("--config", "c.toml", "--data", "d", "--json", "--quiet", "--log-level", "error")
MEANT = GlobalOptions(Path("c.toml"), Path("d"), json=True, quiet=True, log_level="error")


@pytest.mark.parametrize(
    "arguments",
    [
        (*EVERYTHING, "inner", "do", "x"),
        ("inner", *EVERYTHING, "do", "x"),
        ("inner", "do", *EVERYTHING, "x"),
        ("inner", "do", "x", *EVERYTHING),
        (*EVERYTHING[:4], "inner", *EVERYTHING[4:6], "do", "x", *EVERYTHING[6:]),
    ],
)
def test_global_options_are_taken_before_and_after_every_command(arguments: tuple[str, ...]) -> None:
    assert run(*arguments) == MEANT


def test_what_is_written_later_wins() -> None:
    options = run("--data", "first", "--log-level", "debug", "inner", "do", "--data", "second", "--log-level", "info")
    assert (options.data_dir, options.log_level) == (Path("second"), "info")


def test_the_environment_says_what_the_command_line_does_not() -> None:
    env = {"HASHMATCH_DATA": "from-env", "HASHMATCH_CONFIG": "env.toml"}
    assert run("inner", "do", env=env) == GlobalOptions(Path("env.toml"), Path("from-env"))


@pytest.mark.parametrize("arguments", [("--data", "typed", "inner", "do"), ("inner", "do", "--data", "typed")])
def test_the_command_line_beats_the_environment_wherever_it_says_so(arguments: tuple[str, ...]) -> None:
    assert run(*arguments, env={"HASHMATCH_DATA": "from-env"}).data_dir == Path("typed")


def test_without_a_word_the_data_lies_in_the_users_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/home/someone/.data")
    assert run("inner", "do") == GlobalOptions(data_dir=Path("/home/someone/.data/hashmatch"))


def test_the_log_level_is_set_before_the_command_runs() -> None:
    run("inner", "do", "--log-level", "debug")
    assert logging.root.level == logging.DEBUG


def test_help_lists_a_commands_own_options_apart_from_the_global_ones() -> None:
    text = CliRunner().invoke(root, ["inner", "do", "--help"]).output
    own, _, shared = text.partition("Global options, before or after the command:")
    assert "--own" in own
    assert "--json" not in own
    for option in ("--config FILE", "--data DIR", "--json", "--quiet", "--log-level [debug|info|warning|error]"):
        assert option in shared
    assert text.endswith("  Examples:\n    root inner do X\n")
    assert "Commands:\n  do  Do it.\n" in CliRunner().invoke(root, ["inner", "--help"]).output


def test_the_data_directory_is_made_for_its_owner_only(tmp_path: Path) -> None:
    options = GlobalOptions(data_dir=tmp_path / "a" / "b")
    assert options.make_data_dir() == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"^cannot make the data directory .*/file/x: Not a directory$"):
        GlobalOptions(data_dir=tmp_path / "file" / "x").make_data_dir()


def test_the_configuration_is_read_from_the_named_file(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[server]\nlisten = '127.0.0.1:1'\n", encoding="utf-8")
    assert GlobalOptions(config_path=path).load_config().server.listen == "127.0.0.1:1"
    with pytest.raises(BadConfig, match=r"^cannot read missing\.toml: No such file or directory$"):
        GlobalOptions(config_path=Path("missing.toml")).load_config()
