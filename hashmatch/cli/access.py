"""``hashmatch keys``: whom the service knows.

Theory of operation
-------------------
The commands change the keys file as one step each (``identity/keyfile``); a running service looks at it a few times a
second. A key is printed once, when it is made, alone on stdout or as JSON, or written to a file that only its owner may
read; what is kept of it is a digest. What a command line says ends up in the shell's history and in ``ps``, so no
command takes a key as an argument.

What this module deliberately does not do: it talks to no service.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from hashmatch.cli import access_change
from hashmatch.cli.options import GlobalOptions, Group, example, pass_options
from hashmatch.cli.output import Output, Results, Styled, write_json
from hashmatch.errors import BadInput, ExitCode
from hashmatch.identity.roles import Role
from hashmatch.sections import QuotaConfig

if TYPE_CHECKING:
    from hashmatch.identity.accounts import Account, Directory, Key

CALLER_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "name": "of the caller, which stands before every name that it gives for a person",
        "description": "for people",
        "roles": "what it may do",
        "sets": "the sets that it may search, read and change; null: all",
        "certificates": "URIs and DNS names by which its certificate is known",
        "quota": "what differs from `[server.quota]`",
        "created_at": "when it was made, RFC 3339 in UTC",
        "changed_at": "when it last changed",
        "revoked_at": "when all of it was revoked, else null",
        "keys": "`id`, `state` (`valid`, `expired`, `revoked`), `created_at`, `expires_at`, `revoked_at` of each",
    }
)
"""Keys of one row of ``keys list --json`` and ``keys show --json``."""

MADE_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "name": "of the caller",
        "key_id": "public id of the key; null with `--no-key`",
        "key": "the key itself, this once; null with `--no-key` and with `--out`",
        "expires_at": "when it ends, else null",
        "file": "the keys file that knows it now",
    }
)
"""Keys of the one row of ``keys create --json`` and ``keys rotate --json``."""

DEFAULT_LIFE = "365d"
_SPAN = re.compile(r"([1-9][0-9]{0,4})([mhd])", re.ASCII)
_UNITS = MappingProxyType({"m": "minutes", "h": "hours", "d": "days"})
_COLUMNS = ("caller", "roles", "sets", "keys", "certificates", "changed", "description")


def moment(text: str, now: dt.datetime, field: str) -> dt.datetime | None:
    """Return when ``text`` ends: a span such as ``90d``, ``24h`` or ``30m``, a date, or None for ``never``.

    Raises
    ------
    BadInput
        It is none of these, or in the past.

    """
    if text == "never":
        return None
    if span := _SPAN.fullmatch(text):
        return now + dt.timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{field}: {text[:40]!r}; expected 90d, 24h, 30m, 2027-01-31 or never", field=field) from None
    at = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    if at <= now:
        raise BadInput(f"{field}: {text} has passed", field=field)
    return at


def quota(given: Iterable[str]) -> Mapping[str, int]:
    """Return the quota that ``NAME=NUMBER`` texts say; raises BadInput."""
    known = tuple(QuotaConfig.__dataclass_fields__)
    found: dict[str, int] = {}
    for text in given:
        name, _, amount = text.partition("=")
        if name not in known or not (amount.isascii() and amount.isdigit()):
            raise BadInput(
                f"quota: {text[:60]!r}; expected NAME=NUMBER, where NAME is {', '.join(known)}", field="quota"
            )
        found[name] = int(amount)
    return MappingProxyType(found)


@click.group("keys", cls=Group, short_help="Make, list, rotate and revoke the keys of those who call the service.")
def keys() -> None:
    """Say who may call the service, and what each may do.

    Once there is a keys file (server.access.keys_file, or keys.json in the data directory) the service answers nobody
    who is not in it, health excepted. A running service takes changes within a moment.
    """


_OUT = click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the key to this new file.")
_EXPIRES = click.option(
    "--expires", default=DEFAULT_LIFE, show_default=True, metavar="WHEN", help="90d, 24h, 2027-01-31 or never."
)


@keys.command(
    "create",
    epilog=example(
        "hashmatch keys create uploads --role detect --set hotline --expires 90d --out uploads.key",
        "hashmatch keys create console --role report --role detail --quota calls_per_s=20",
        "hashmatch keys create batch --role detect --certificate spiffe://example.org/batch --no-key",
    ),
)
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice([role.value for role in Role]),
    help="What it may do; again for more.",
)
@click.option(
    "--set", "sets", multiple=True, metavar="NAME", help="A set that it may use; again for more. Default: all."
)
@_EXPIRES
@click.option("--description", default="", metavar="TEXT", help="For people.")
@click.option(
    "--certificate", "certificates", multiple=True, metavar="NAME", help="A URI or DNS name in its certificate."
)
@click.option(
    "--quota", "quotas", multiple=True, metavar="NAME=N", help="Instead of server.quota.NAME; 0 for no limit."
)
@click.option("--no-key", is_flag=True, help="Known by its certificate only.")
@_OUT
@pass_options
def create(
    options: GlobalOptions, /, name: str, *, expires: str, no_key: bool, out: Path | None, **said: Any
) -> ExitCode:
    """Make a caller and its first key, which is shown this once."""
    from hashmatch.identity import tokens

    now = present()
    _check_out(out)
    end = moment(expires, now, "expires")
    account = _wanted(name, now, **said)
    if no_key and not account.certificates:
        raise BadInput("no-key: a caller without a key needs a --certificate", field="no_key")
    token = None if no_key else tokens.made()
    if token is not None:
        account = account.with_key(token, now, end)

    def add(found: Directory) -> Iterable[Account]:
        if found.find(name) is not None:
            raise BadInput(f"name: there is a caller {name} already; `keys rotate` gives it a new key", field="name")
        return (*found.accounts, account)

    _tell(options, account, change_file(options, add), token.text if token else None, out)
    return ExitCode.CLEAN


def _wanted(
    name: str,
    now: dt.datetime,
    *,
    roles: tuple[str, ...],
    sets: tuple[str, ...],
    description: str,
    certificates: tuple[str, ...],
    quotas: tuple[str, ...],
) -> Account:
    """Return the account that the options of ``create`` describe; raises BadInput."""
    from hashmatch.identity.accounts import Account, checked

    return checked(
        Account(
            name=name,
            roles=frozenset(map(Role, roles)),
            sets=frozenset(sets) or None,
            certificates=certificates,
            quota=quota(quotas),
            description=description,
            created_at=now,
            changed_at=now,
        )
    )


@keys.command("rotate", epilog=example("hashmatch keys rotate uploads --overlap 24h --out uploads.key"))
@click.argument("name")
@click.option(
    "--overlap",
    default="24h",
    show_default=True,
    metavar="SPAN",
    help="How long the keys before go on being valid; 0 for not at all.",
)
@_EXPIRES
@_OUT
@pass_options
def rotate(options: GlobalOptions, /, name: str, *, overlap: str, expires: str, out: Path | None) -> ExitCode:
    """Give a caller a new key; those before end after a while."""
    from hashmatch.identity import tokens

    now = present()
    _check_out(out)
    end = moment(expires, now, "expires")
    last = now if overlap == "0" else moment(overlap, now, "overlap")
    if last is None:
        raise BadInput("overlap: an old key has to end at some time", field="overlap")
    token = tokens.made()

    def turn(account: Account) -> Account:
        if account.revoked_at is not None:
            raise BadInput(f"name: {name} is revoked; make another caller", field="name")
        return account.ended_at(last, now).with_key(token, now, end)

    file = change_file(options, edited(name, turn))
    account = directory(options).find(name)
    assert account is not None  # noqa: S101  it has just been changed, and nothing is ever removed
    _tell(options, account, file, token.text, out)
    return ExitCode.CLEAN


@keys.command(
    "revoke", epilog=example("hashmatch keys revoke uploads", "hashmatch keys revoke uploads --key 0f3c2a9d11b0e7c4")
)
@click.argument("name")
@click.option(
    "--key", metavar="ID", help="Only this key; default: the caller with all keys and certificates, for good."
)
@pass_options
def revoke(options: GlobalOptions, /, name: str, *, key: str | None) -> ExitCode:
    """End a key, or a caller, for good. A running service refuses it within server.access.poll_ms."""
    now = present()
    change_file(options, edited(name, lambda one: one.revoked(now) if key is None else one.without_key(key, now)))
    Output(options).remark(f"revoked: {name if key is None else f'key {key} of {name}'}")
    return ExitCode.CLEAN


keys.add_command(access_change.change)


@keys.command("list", epilog=example("hashmatch keys list", "hashmatch keys list --json"))
@pass_options
def list_(options: GlobalOptions) -> ExitCode:
    """List who is known, those who were revoked included."""
    output = Output(options)
    if not _file(options).exists():
        output.remark("there is no keys file: nobody is asked who they are, on this machine only")
        return ExitCode.CLEAN
    with output.results(*_COLUMNS) as results:
        for account in directory(options).accounts:
            _add(results, account)
    return ExitCode.CLEAN


@keys.command("show", epilog=example("hashmatch keys show uploads"))
@click.argument("name")
@pass_options
def show(options: GlobalOptions, name: str) -> ExitCode:
    """Show one caller with its keys; of those only the public ids, since nothing else is kept."""
    account = directory(options).find(name)
    if account is None:
        raise BadInput(_nobody(name), field="name")
    output = Output(options)
    print_caller(output, account)
    if output.json:
        return ExitCode.CLEAN
    with output.results("key", "state", "created", "expires", "revoked") as results:
        for key in account.keys:
            state = key.state(present())
            results.add(
                {},
                key.key_id,
                Styled(state, "green" if state == "valid" else "red"),
                _text(key.created_at),
                _text(key.expires_at),
                _text(key.revoked_at),
            )
    return ExitCode.CLEAN


def print_caller(output: Output, account: Account) -> None:
    """Print the row of one caller."""
    with output.results(*_COLUMNS) as results:
        _add(results, account)


def record(account: Account) -> dict[str, object]:
    """Return the row for a caller."""
    from hashmatch.identity import keyfile

    return {
        **keyfile.described(account),
        "keys": [_key_record(key) for key in account.keys],
    }


def _key_record(key: Key) -> dict[str, object]:
    return {
        "id": key.key_id,
        "state": key.state(present()),
        "created_at": _text(key.created_at),
        "expires_at": _text(key.expires_at),
        "revoked_at": _text(key.revoked_at),
    }


def _add(results: Results, account: Account) -> None:
    states = [key.state(present()) for key in account.keys]
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states), reverse=True))
    results.add(
        record(account),
        Styled(f"{account.name} (revoked)", "red") if account.revoked_at else account.name,
        ", ".join(sorted(account.roles)),
        "all" if account.sets is None else ", ".join(sorted(account.sets)),
        counts or "none",
        ", ".join(account.certificates),
        _text(account.changed_at),
        account.description,
    )


def _tell(options: GlobalOptions, account: Account, file: Path, key: str | None, out: Path | None) -> None:
    """Print what was made, or write the key where it was asked for."""
    from hashmatch.signatures import write_secret

    output = Output(options)
    newest = account.keys[-1] if key is not None else None
    if key is not None and out is not None:
        write_secret(out, f"{key}\n")
    if output.json:
        row = {
            "name": account.name,
            "key_id": None if newest is None else newest.key_id,
            "key": key if out is None else None,
            "expires_at": None if newest is None else _text(newest.expires_at),
            "file": str(file),
        }
        write_json(row, output.stdout)
    elif key is not None and out is None:
        output.stdout.write(f"{key}\n")
        output.stdout.flush()
    where = "" if key is None else f", key in {out}" if out else ", and this is the only time that its key is shown"
    output.remark(f"{account.name} is known in {file}{where}")


def _check_out(out: Path | None) -> None:
    """Refuse a file that is there before a key is made that could then not be written."""
    if out is not None and out.exists():
        raise BadInput(f"out: {out} exists already, and a key is never overwritten; give another name", field="out")


def edited(name: str, turn: Callable[[Account], Account]) -> Callable[[Directory], Iterable[Account]]:
    """Return what makes another account of one in a keys file; it raises BadInput where there is none."""

    def edit(found: Directory) -> Iterable[Account]:
        if found.find(name) is None:
            raise BadInput(_nobody(name), field="name")
        return [turn(account) if account.name == name else account for account in found.accounts]

    return edit


def _nobody(name: str) -> str:
    return f"name: nobody is called {name!r}; `hashmatch keys list` shows who is known"


def _file(options: GlobalOptions) -> Path:
    from hashmatch.identity import keyfile

    return keyfile.place(options.load_config().server.access.keys_file, options.data_dir)


def directory(options: GlobalOptions) -> Directory:
    """Return everybody who is known; raises BadConfig."""
    from hashmatch.identity import keyfile

    return keyfile.read(_file(options))


def change_file(options: GlobalOptions, edit: Callable[[Directory], Iterable[Account]]) -> Path:
    """Change the keys file and return where it is."""
    from hashmatch.identity import keyfile

    file = _file(options)
    if file.parent == options.data_dir:
        options.make_data_dir()
    keyfile.change(file, edit)
    return file


def _text(at: dt.datetime | None) -> str | None:
    return None if at is None else at.astimezone(dt.UTC).isoformat(timespec="seconds")


def present() -> dt.datetime:
    """Return the time, to the second."""
    return dt.datetime.now(dt.UTC).replace(microsecond=0)
