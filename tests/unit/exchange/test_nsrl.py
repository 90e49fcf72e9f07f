from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hashmatch.errors import BadFile
from hashmatch.exchange import nsrl
from hashmatch.exchange.heads import Head
from hashmatch.model import Entry, EntryHash, Label, Rejected

MD5 = "0123456789ABCDEF" * 2
SHA1 = "A9" * 20
SHA256 = "c3" * 32
HEADER = ",".join(f'"{name}"' for name in nsrl.HEADER)


def line(name: str = "icon.png", special: str = "", sha1: str = SHA1) -> str:
    return f'"{sha1}","{MD5}","DB7F1ADB","{name}",1234,17,"358","{special}"'


def read(*lines: str, header: str = HEADER) -> list[Entry | Rejected]:
    return list(nsrl.read(io.BytesIO("\r\n".join([header, *lines]).encode())))


def test_a_line_is_an_entry_and_its_product_a_label() -> None:
    plain, special = read(line('a ""quoted"", name'), line(special="S"))
    assert plain == Entry(
        "",
        (EntryHash("sha1", bytes.fromhex(SHA1)), EntryHash("md5", bytes.fromhex(MD5))),
        (Label("nsrl:ProductCode", "", "17"),),
    )
    assert isinstance(special, Entry)
    assert special.labels == (Label("nsrl:ProductCode", "", "17"), Label("nsrl:SpecialCode", "", "S"))


@pytest.mark.parametrize("special", ["M", "m"])
def test_a_malicious_file_is_known_and_not_harmless(special: str) -> None:
    bad, good = read(line(special=special), line())
    assert bad == Rejected(2, "SpecialCode", "M: the file is malicious, known and not harmless")
    assert isinstance(good, Entry)


@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        ("1,2", "", "2 cells where the header has 8"),
        (line(sha1="x"), "SHA-1", "'x' is not a sha1 value"),
        (",,,,,,,", "SHA-1", "the line holds neither a SHA-1 nor an MD5"),
        ('"open', "", "a quoted cell must end on its own line"),
    ],
)
def test_a_bad_line_costs_only_itself(text: str, field: str, reason: str) -> None:
    bad, good = read(text, line())
    assert isinstance(bad, Rejected)
    assert isinstance(good, Entry)
    assert (bad.position, bad.field) == (2, field)
    assert reason in bad.reason


@pytest.mark.parametrize("header", ["", "SHA-1,MD5", HEADER.replace("CRC32", "CRC64")])
def test_another_header_is_another_file(header: str) -> None:
    with pytest.raises(BadFile, match=r"expected NSRLFile.txt of an RDS v2, whose first line is SHA-1,MD5,CRC32"):
        read(header=header)


def database(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


V3 = "CREATE TABLE FILE (sha256 TEXT, sha1 TEXT, md5 TEXT, crc32 TEXT, file_name TEXT, package_id INTEGER)"


def stored(sha1: str | None = SHA1, sha256: str | None = SHA256, package: str = "17") -> str:
    texts = ("NULL" if text is None else f"'{text}'" for text in (sha256, sha1, MD5))
    return f"INSERT INTO FILE VALUES ({', '.join(texts)}, 'DB7F1ADB', 'icon.png', {package})"  # noqa: S608


@pytest.mark.parametrize("as_file", [True, False])
def test_a_database_is_read_where_it_lies_or_from_a_copy(tmp_path: Path, *, as_file: bool) -> None:
    path = database(tmp_path / "rds.db", V3, stored(), stored(sha256=None, package="NULL"), stored("x"), stored(None))
    stream = path.open("rb") if as_file else io.BytesIO(path.read_bytes())
    with stream:
        assert nsrl.recognises_database(Head.of(path.read_bytes()))
        whole, old, bad, last = nsrl.read_database(stream)
    assert whole == Entry(
        "",
        tuple(
            EntryHash(name, bytes.fromhex(text)) for name, text in (("sha256", SHA256), ("sha1", SHA1), ("md5", MD5))
        ),
        (Label("nsrl:package_id", "", "17"),),
    )
    assert isinstance(old, Entry)
    assert ([item.algorithm for item in old.hashes], old.labels) == (["sha1", "md5"], ())
    assert isinstance(bad, Rejected)
    assert (bad.position, bad.field) == (3, "sha1")
    assert last.position == 4


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (["CREATE TABLE other (x)"], "the database has no table FILE"),
        (["CREATE TABLE x (md5)", "CREATE VIEW FILE AS SELECT md5 FROM x"], "the database has no table FILE"),
        (["CREATE TABLE FILE (name, package_id)"], "the table FILE has none of the columns sha256, sha1, md5"),
        (["CREATE TABLE FILE (x, md5 AS (hex(x)))"], "the table FILE has none of the columns sha256, sha1, md5"),
        ([V3, "INSERT INTO FILE (md5) VALUES (hex(zeroblob(1000000)))"], "the database cannot be read: string or blob"),
    ],
)
def test_a_database_of_something_else_is_refused(tmp_path: Path, statements: list[str], reason: str) -> None:
    with database(tmp_path / "x.db", *statements).open("rb") as stream, pytest.raises(BadFile) as caught:
        list(nsrl.read_database(stream))
    assert reason in caught.value.message


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    path = database(tmp_path / "x.db", V3, *[stored()] * 400)
    whole = path.read_bytes()
    for damaged in (b"", whole[:5_000], whole[:8_192] + b"\xff" * 4_096 + whole[12_288:], b"md5\n"):
        with pytest.raises(BadFile, match=r"the database (cannot be read|has no table FILE)"):
            list(nsrl.read_database(io.BytesIO(damaged)))


def test_a_value_that_is_no_text_is_rejected(tmp_path: Path) -> None:
    path = database(
        tmp_path / "x.db", V3, "INSERT INTO FILE (sha1) VALUES (x'00')", "INSERT INTO FILE (md5) VALUES ('')"
    )
    with path.open("rb") as stream:
        blob, empty = nsrl.read_database(stream)
    assert blob == Rejected(1, "sha1", "b'\\x00': expected a text")
    assert empty == Rejected(2, "sha1", "the row holds no digest")
