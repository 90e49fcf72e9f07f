"""Options that every command takes, before and after the command's name.

Theory of operation
-------------------
:class:`Command` and :class:`Group` add the global options to whatever they are given, so ``hashmatch --json hash X``
and ``hashmatch hash X --json`` are the same. Each level notes what it was given in ``ctx.meta``, which click shares
between nested contexts: what is written on the command line beats the environment and the defaults, and what is
written later beats what is written earlier. :func:`pass_options` hands a command the outcome, frozen.

What this module deliberately does not do: it reads no file. :meth:`GlobalOptions.load_config` does, when a command
asks for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
from click.core import ParameterSource

from hashmatch import config
from hashmatch.errors import BadInput
from hashmatch.telemetry import logs

P = ParamSpec("P")
R = TypeVar("R")

LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
_META_KEY = "hashmatch.cli.options"


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """What was said before or after the command's name."""

    config_path: Path | None = None
    data_dir: Path = Path()
    json: bool = False
    quiet: bool = False
    log_level: str = "warning"
    log_format: str = "text"

    def load_config(self) -> config.Config:
        """Read the configuration: defaults, then the file, then the environment.

        Raises
        ------
        BadConfig
            When the file or a variable is not valid.

        """
        return config.load(self.config_path)

    def make_data_dir(self) -> Path:
        """Make sure that the data directory exists, readable by its owner only.

        Raises
        ------
        BadInput
            When it cannot be made.

        """
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"cannot make the data directory {self.data_dir}: {error.strerror}", field="data") from error
        return self.data_dir


def _note(ctx: click.Context, param: click.Parameter, value: object) -> object:
    """Keep ``value`` for :func:`resolve` unless something stronger was said already."""
    given = ctx.meta.setdefault(_META_KEY, {})
    name = str(param.name)
    if name not in given or ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
        given[name] = value
    return value


def _global_option(*names: str, **attributes: Any) -> click.Option:
    return click.Option(names, expose_value=False, is_eager=True, callback=_note, **attributes)


def _global_parameters() -> list[click.Parameter]:
    """Fresh instances, because click keeps state in them."""
    path = click.Path(path_type=Path)
    return [
        _global_option(
            "--config", "config_path", type=path, metavar="FILE", envvar="HASHMATCH_CONFIG",
            help="Configuration in TOML (HASHMATCH_CONFIG).",
        ),
        _global_option(
            "--data", "data_dir", type=path, metavar="DIR", envvar="HASHMATCH_DATA",
            help="Directory of the embedded catalog and its segments (HASHMATCH_DATA; default: in the user's "
            "data directory).",
        ),
        _global_option("--json", is_flag=True, help="Print JSON Lines on stdout."),
        _global_option("--quiet", is_flag=True, help="No progress and no remarks; results and errors remain."),
        _global_option(
            "--log-level", type=click.Choice(LOG_LEVELS), default="warning", help="What is logged on stderr."
        ),
        _global_option(
            "--log-format", type=click.Choice(LOG_FORMATS), default="text",
            help="How: text for people, or one JSON object per line.",
        ),
    ]  # fmt: skip


class _WithGlobalOptions(click.Command):
    """A command that also takes the global options and lists them apart from its own."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params.extend(_global_parameters())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, then the global ones under their own heading."""
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                (shared if param.callback is _note else own).append(record)
        for title, records in (("Options", own), ("Global options, before or after the command", shared)):
            with formatter.section(title):
                formatter.write_dl(records)


class Command(_WithGlobalOptions):
    """A command of hashmatch."""


class Group(_WithGlobalOptions, click.Group):
    """A command that holds commands."""

    command_class = Command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def resolve(ctx: click.Context) -> GlobalOptions:
    """Return what the command line, the environment and the defaults say together."""
    given = dict(ctx.meta.get(_META_KEY, {}))
    data_dir = given.pop("data_dir", None)
    return GlobalOptions(data_dir=data_dir or _default_data_dir(), **given)


def _default_data_dir() -> Path:
    from platformdirs import user_data_path

    return user_data_path("hashmatch", appauthor=False)


def pass_options(function: Callable[Concatenate[GlobalOptions, P], R]) -> Callable[P, R]:
    """Call ``function`` with the resolved global options in front of its own parameters, and logging set up."""

    @functools.wraps(function)
    def with_options(*args: P.args, **kwargs: P.kwargs) -> R:
        options = resolve(click.get_current_context())
        logs.to_stderr(options.log_level, options.log_format)
        return function(options, *args, **kwargs)

    return with_options


def example(*lines: str) -> str:
    """Epilog of a command's help: the lines as they are typed, not re-wrapped by click."""
    return "\b\n" + "\n".join(["Examples:", *(f"  {line}" for line in lines)])
