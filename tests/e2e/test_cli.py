"""The command line as people run it: real processes, workers, catalog, index and server.

One world is made for the whole module by the commands themselves: photos are hashed, what that prints is imported as it
is, and everything else looks at the result. Each exit code is reached at least once.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

import pytest
from PIL import Image

from hashmatch.cli.detect import FIELDS as REPORT_FIELDS
from hashmatch.cli.hash import FIELDS as HASH_FIELDS
from hashmatch.cli.serve import FIELDS as SERVING_FIELDS
from hashmatch.cli.status import FIELDS as STATUS_FIELDS
from hashmatch.hashing import algorithms
from tests.support import images

HASHMATCH = (sys.executable, "-m", "hashmatch")
PATIENT = {"HASHMATCH_SANDBOX_DEADLINE_MS": "120000", "HASHMATCH_SANDBOX_QUEUE_MS": "600000"}
"""What a busy machine must not come to refuse."""
PATIENCE_S = 300
"""Ends a hang, and judges no speed."""


@dataclass(frozen=True)
class World:
    """A directory with pictures, and a data directory."""

    root: Path

    @property
    def environ(self) -> dict[str, str]:
        """Variables of a shell in which hashmatch was told where its data lies."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HASHMATCH_")}
        return {**inherited, "HASHMATCH_DATA": str(self.root / "data"), **PATIENT}

    def run(self, *arguments: str, stdin: bytes = b"") -> Ran:
        """Run a command to its end in the world's directory."""
        done = subprocess.run(
            [*HASHMATCH, *arguments], input=stdin, capture_output=True, cwd=self.root, env=self.environ,
            timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr.decode())

    def start(self, *arguments: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        """Start a command."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*HASHMATCH, *arguments], stdin=pipe, stdout=stdout, stderr=pipe, cwd=self.root, env=self.environ
        )


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: bytes
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Lines of JSON on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]

    def expect(self, code: int) -> Self:
        """Fail with everything that was said when the exit code is another."""
        assert self.code == code, self.err
        return self


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a world whose list knows two photos of four and an animation."""
    root = tmp_path_factory.mktemp("world")
    for name in ("known", "uploads", "strange"):
        (root / name).mkdir()
    for seed in (1, 2):
        (root / "known" / f"{seed}.jpg").write_bytes(images.encoded(images.photo(seed), "JPEG", quality=95))
    frames = [images.photo(3), images.photo(4)]
    (root / "known" / "moving.gif").write_bytes(images.animation("GIF", frames, duration=100))
    turned = images.photo(1).transpose(Image.Transpose.ROTATE_90)
    (root / "uploads" / "turned.png").write_bytes(images.encoded(turned, "PNG"))
    (root / "uploads" / "unknown.png").write_bytes(images.encoded(images.photo(5), "PNG"))
    (root / "strange" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (root / "strange" / "link.png").symlink_to(root / "uploads" / "unknown.png")
    world = World(root)
    hashed = world.run("hash", "known", "--json").expect(0)
    (root / "hashes.jsonl").write_bytes(hashed.out)
    world.run("hashset", "import", "known", "hashes.jsonl", "--domain", "other", "--create", "--json").expect(0)
    return world


def by_name(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return rows by the name of their file."""
    return {Path(row["path"]).name: row for row in rows}


def test_hashes_are_printed_for_every_file_frame_and_algorithm_in_order(world: World) -> None:
    rows = [json.loads(line) for line in (world.root / "hashes.jsonl").read_bytes().splitlines()]
    names = algorithms.computed_names()
    still = [(row["path"], row["algorithm"]) for row in rows[: 2 * len(names)]]
    assert still == [(f"known/{seed}.jpg", name) for seed in (1, 2) for name in names]
    assert all(set(row) == set(HASH_FIELDS) - {"dihedral"} for row in rows)
    moving = [row for row in rows if row["path"] == "known/moving.gif" and row["algorithm"] == "pdq"]
    assert [(row["frame"], row["frames"], row["format"]) for row in moving] == [(0, 2, "GIF"), (1, 2, "GIF")]
    assert (rows[0]["width"], rows[0]["height"], rows[0]["degraded"]) == (320, 240, False)


def test_what_hash_printed_was_imported_as_it_is(world: World) -> None:
    lines = (world.root / "hashes.jsonl").read_bytes().splitlines()
    files = {json.loads(line)["path"] for line in lines}
    (known,) = (row for row in world.run("hashset", "list", "--json").expect(0).rows if row["name"] == "known")
    assert (known["name"], known["harm_domain"], known["entries"]) == ("known", "other", len(files))
    piped = world.run("hashset", "import", "known", "-", "--json", stdin=b"\n".join(lines)).expect(0)
    assert (piped.rows[0]["added"], piped.rows[0]["rejected"]) == (0, 0)
    assert piped.rows[0]["unchanged"] == len(files)


def test_standard_input_hashes_like_the_file_and_a_refused_file_still_has_digests(world: World) -> None:
    data = (world.root / "known" / "1.jpg").read_bytes()
    ran = world.run("hash", "-", "strange", "--algorithm", "pdq,sha256", "--dihedral", "--json", stdin=data).expect(3)
    stdin_pdq, stdin_sha256, error, broken_sha256, link = ran.rows
    expected = [json.loads(line) for line in (world.root / "hashes.jsonl").read_bytes().splitlines()[:9]]
    assert {**stdin_pdq, "path": "known/1.jpg"} == {**expected[0], "dihedral": stdin_pdq["dihedral"]}
    assert len(stdin_pdq["dihedral"]) == 8
    assert stdin_sha256["value"] == expected[8]["value"]
    assert (error["path"], error["error"]) == ("strange/broken.jpg", "corrupt")
    assert (broken_sha256["algorithm"], broken_sha256["width"]) == ("sha256", None)
    assert (link["path"], link["error"]) == ("strange/link.png", "symlink")


def test_one_frame_and_stored_orientation_are_hashed_when_asked_for(world: World) -> None:
    lying = images.stored_turned(images.photo(1), 6)
    (world.root / "lying.jpg").write_bytes(images.encoded(lying, "JPEG", exif=images.orientation_exif(6)))
    options = ("--algorithm", "pdq", "--first-frame", "--ignore-orientation", "--json")
    rows = world.run("hash", "known/moving.gif", "lying.jpg", *options).expect(0).rows
    assert [(row["frame"], row["width"], row["height"]) for row in rows] == [(0, 320, 240), (0, 240, 320)]


def test_in_process_a_known_picture_is_found_although_something_else_was_skipped(world: World) -> None:
    ran = world.run("detect", "uploads", "strange", "missing", "--json").expect(1)
    assert all(set(row) == set(REPORT_FIELDS) for row in ran.rows)
    rows = by_name(ran.rows)
    assert {name: (row["verdict"], row["reason"]) for name, row in rows.items()} == {
        "turned.png": ("match", None),
        "unknown.png": ("no_match", None),
        "broken.jpg": ("not_checked", "corrupt"),
        "link.png": ("not_checked", "symlink"),
        "missing": ("not_checked", "not_found"),
    }
    hit = rows["turned.png"]["hits"][0]
    assert (hit["set"], hit["harm_domain"], hit["algorithm"][:3], hit["max_distance"]) == ("known", "other", "pdq", 31)
    assert hit["distance"] <= 31
    assert hit["transformation"].startswith("rot")
    assert ran.err == "5 images: 1 match, 0 possible, 1 without match, 3 not checked\n"


def test_nothing_matched_and_something_skipped_is_three_and_people_read_stderr(world: World) -> None:
    people = world.run("detect", "uploads/unknown.png", "strange/broken.jpg").expect(3)
    assert people.out == b""
    assert people.err.splitlines()[1].startswith("no_match\tuploads/unknown.png\t")
    assert people.err.splitlines()[2].startswith("not_checked\tstrange/broken.jpg\t")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["detect", "nothing", "nowhere"], "no such file or directory: nothing, nowhere"),
        (["hash", "known", "--algorithm", "neuralhash"], "no algorithm 'neuralhash' is installed"),
        (
            ["hash", "known", "--algorithm", "photodna"],
            "photodna cannot be computed here: it takes a tool under licence",
        ),
        (["detect", "uploads", "--data", "empty"], "empty holds no catalog"),
        (["hashset", "show", "unknown"], "unknown"),
    ],
)
def test_bad_input_is_two_and_one_line(arguments: list[str], message: str, world: World) -> None:
    ran = world.run(*arguments).expect(2)
    assert ran.out == b""
    assert ran.err.startswith("error: ")
    assert message in ran.err
    assert ran.err.count("\n") == 1


def test_global_options_mean_the_same_before_and_after_the_command(world: World) -> None:
    elsewhere = str(world.root / "data")
    before = world.run("--data", elsewhere, "--json", "hashset", "list").expect(0)
    between = world.run("hashset", "--json", "--data", elsewhere, "list").expect(0)
    after = world.run("hashset", "list", "--data", elsewhere, "--json").expect(0)
    assert before.rows == between.rows == after.rows != []


def test_an_export_comes_back_as_it_went(world: World) -> None:
    for name in ("csv", "jsonl"):
        world.run("hashset", "export", "known", "--format", name, "--output", f"out.{name}").expect(0)
        (row,) = world.run("hashset", "import", "known", f"out.{name}", "--json").expect(0).rows
        assert (row["added"], row["updated"], row["rejected"]) == (0, 0, 0)
    piped = world.run("hashset", "export", "known").expect(0)
    assert piped.out == (world.root / "out.jsonl").read_bytes()


def test_rows_that_are_refused_are_three_and_all_kept(world: World) -> None:
    (world.root / "partly.csv").write_text(f"algorithm,value\nmd5,{'0a' * 16}\nmd5,nothing\n", encoding="utf-8")
    arguments = ("hashset", "import", "partly", "partly.csv", "--domain", "other", "--create")
    ran = world.run(*arguments, "--rejected", "rejected.jsonl").expect(3)
    assert "partly.csv:3: rejected: value: 'nothing'" in ran.err
    assert json.loads((world.root / "rejected.jsonl").read_bytes())["position"] == 3


def test_status_tells_what_is_stored_and_how_well_decoding_is_confined(world: World) -> None:
    (row,) = world.run("status", "--json").expect(0).rows
    assert set(row) == set(STATUS_FIELDS)
    assert row["algorithms"] == list(algorithms.table())
    assert row["catalog"]["hash_sets"] >= 1
    assert row["sandbox"]["confined"] is True
    assert {"seccomp", "landlock", "self-test"} <= {item["name"] for item in row["sandbox"]["protections"]}


def test_damaged_data_is_five_and_nothing_is_said_from_it(world: World) -> None:
    damaged = world.root / "damaged"
    damaged.mkdir()
    (damaged / "catalog.sqlite3").write_bytes(b"SQLite format 3\0" + random.Random(5).randbytes(8_192))
    for arguments in (["hashset", "list"], ["detect", "uploads"]):
        ran = world.run(*arguments, "--data", "damaged", "--json").expect(5)
        assert ran.out == b""
        assert json.loads(ran.err.splitlines()[-1])["error"] == "CATALOG_CORRUPT"
    (row,) = world.run("status", "--data", "damaged", "--json").expect(5).rows
    assert "error" in row["catalog"]
    assert row["sandbox"]["confined"] is True


def test_a_service_that_is_not_there_is_four(world: World) -> None:
    ran = world.run("detect", "uploads", "--server", "127.0.0.1:1", "--json").expect(4)
    assert json.loads(ran.err)["error"] == "SERVICE_UNAVAILABLE"
    world.run("status", "--server", "127.0.0.1:1").expect(4)


def test_a_reader_that_goes_away_is_not_a_match(world: World) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with world.start("config", "show", "--json", stdout=writer) as process:
        os.close(writer)
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE_S) == 141


def test_control_c_ends_a_command_that_waits_for_standard_input(world: World) -> None:
    with world.start("hash", "-") as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"some bytes")
        process.stdin.flush()
        deadline = time.monotonic() + PATIENCE_S
        while bytes_unread(process.stdin) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 130
        assert process.stderr.read().strip() == b""


def bytes_unread(pipe: IO[bytes]) -> int:
    """Return how much of what was written into a pipe nobody has read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@contextlib.contextmanager
def serving(world: World) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """Serve for a while; gives the process and the line that says that it is ready."""
    with world.start("serve", "--listen", "127.0.0.1:0", "--json") as process:
        try:
            assert process.stdout is not None
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
            assert ready, "the service did not say that it is ready"
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def found_by(world: World, *server: str) -> set[str]:
    """Return the entries that the turned photo is found by."""
    (row,) = world.run("detect", "uploads/turned.png", *server, "--json").rows
    return {hit["entry_id"] for hit in row["hits"]}


def wait_until(condition: Callable[[], bool]) -> bool:
    """Ask again and again; return whether the condition came true while there was patience."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if condition():
            return True
    return False


def test_a_server_gives_the_same_answers_follows_the_catalog_and_ends_when_told(world: World) -> None:
    with serving(world) as (process, said):
        assert set(said) == set(SERVING_FIELDS)
        assert said["event"] == "serving"
        assert said["entries"] > 0
        server = ("--server", said["address"])
        remote = by_name(world.run("detect", "uploads", "strange", *server, "--json").expect(1).rows)
        local = by_name(world.run("detect", "uploads", "strange", "--json").expect(1).rows)
        for name, row in local.items():
            assert (remote[name]["verdict"], remote[name]["reason"]) == (row["verdict"], row["reason"])
            assert remote[name]["hits"] == row["hits"]
        (status,) = world.run("status", *server, "--json").expect(0).rows
        assert set(status) == set(STATUS_FIELDS)
        assert (status["index"]["state"], status["sandbox"]["confined"]) == ("serving", True)

        world.run("detect", "uploads/unknown.png", *server).expect(0)

        nearest = remote["turned.png"]["hits"][0]["entry_id"]
        world.run("hashset", "withdraw", "known", nearest, "--reason", "a test").expect(0)
        assert wait_until(lambda: nearest not in found_by(world, *server))
        world.run("hashset", "reinstate", "known", nearest, "--reason", "a test").expect(0)
        assert wait_until(lambda: nearest in found_by(world, *server))

        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
