"""``hashmatch``: the root of the commands, and the one place where an error becomes an exit code.

Theory of operation
-------------------
Commands are listed by name and imported when they are asked for; each imports what it needs when it runs, so that
``hashmatch --help`` loads neither numba nor faiss, Pillow or grpc. A command returns an ``ExitCode`` or raises;
:func:`main` translates what it raises by the table in ``errors.py``:

===========================  =====================================================================================
``HashmatchError``           ``error: <message>`` and the class's exit code
click's usage errors         ``error: <message>`` and where to read on; 2
Ctrl-C                       130, as shells have it
a reader that went away      141, as shells have it; never 1, which means that something matched
anything else                a bug: one line that says so and 4; the traceback with ``--log-level debug``
===========================  =====================================================================================

With ``--json`` the line on stderr is a JSON object: ``{"error": "SET_NOT_FOUND", "message": …, "field": …}``.

What this module deliberately does not do: it prints no results.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence

import click

from hashmatch import __version__
from hashmatch.cli.options import Group, example
from hashmatch.cli.output import ReaderGone, shown, write_json
from hashmatch.errors import BadInput, ExitCode, HashmatchError

COMMANDS = {
    "serve": "hashmatch.cli.serve:serve",
    "hash": "hashmatch.cli.hash:hash_",
    "detect": "hashmatch.cli.detect:detect",
    "rescan": "hashmatch.cli.rescan:rescan",
    "urlcheck": "hashmatch.cli.urlcheck:urlcheck",
    "hashset": "hashmatch.cli.hashset:hashset",
    "report": "hashmatch.cli.report:report",
    "hotline": "hashmatch.cli.hotline:hotline",
    "evidence": "hashmatch.cli.evidence:evidence",
    "bench": "hashmatch.cli.bench:bench",
    "keys": "hashmatch.cli.access:keys",
    "audit": "hashmatch.cli.audit:audit",
    "status": "hashmatch.cli.status:status",
    "config": "hashmatch.cli.config_show:config",
}
"""Command name to ``module:attribute``, in the order of the help."""

EXIT_INTERRUPTED = 130
EXIT_READER_GONE = 141

log = logging.getLogger(__name__)


class LazyGroup(Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the table's order."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command, or return None when there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)  # noqa: S101 - the table above is ours
        return command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=example(
        "hashmatch hash photos/ --json > hashes.jsonl",
        "hashmatch hashset import known hashes.jsonl --domain other --create",
        "hashmatch detect upload.jpg",
        "hashmatch serve --listen 127.0.0.1:50051",
    ),
)
@click.version_option(__version__, prog_name="hashmatch", message="%(prog)s %(version)s")
def cli() -> None:
    """Find known images by their perceptual and cryptographic hashes.

    Results for machines go to stdout (--json), tables and progress for people to stderr. Exit codes: 0 nothing
    matched, 1 matched, 2 bad input, 3 finished with skipped items, 4 service, 5 integrity.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the process's exit code."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    try:
        returned = cli.main(argv, prog_name="hashmatch", standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except (ReaderGone, BrokenPipeError):
        _abandon_stdout()
        return EXIT_READER_GONE
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.BAD_INPUT
    except Exception as error:
        log.debug("raised here", exc_info=True)
        failure = _as_failure(error)
        _complain(failure, as_json="--json" in (argv[: argv.index("--")] if "--" in argv else argv))
        return failure.exit_code
    return int(returned or ExitCode.CLEAN)


def _as_failure(error: Exception) -> HashmatchError:
    """Put ``error`` in hashmatch's own words; whatever is neither ours nor click's is a bug and is called one."""
    match error:
        case HashmatchError():
            return error
        case click.UsageError(ctx=click.Context(command_path=where)):
            return BadInput(f"{error.format_message()} See `{where} --help`.")
        case click.ClickException():
            return BadInput(error.format_message())
        case _:
            what = f"{type(error).__name__}: {error}"
            return HashmatchError(f"this is a bug, please report it: {what} (traceback: --log-level debug)")


def _complain(failure: HashmatchError, *, as_json: bool) -> None:
    """Say on stderr what went wrong, in the form that the command line asked for."""
    if as_json:
        record = {"error": failure.reason(), "message": failure.message, "field": failure.field}
        write_json(record, sys.stderr)
    else:
        sys.stderr.write(f"error: {shown(failure.message)}\n")


def _abandon_stdout() -> None:
    """Point stdout at nothing, so that flushing it when Python ends does not fail once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
