from __future__ import annotations

import io

import pytest

from hashmatch.errors import BadFile
from hashmatch.exchange import icse
from hashmatch.model import Entry, EntryHash, Label, Provenance, Rejected

MD5 = "0123456789abcdef" * 2
SHA1 = "a9" * 20
HEADER = ";".join(icse.HEADER)


def record(**cells: str) -> str:
    by_name = {name.replace(" ", "_"): "" for name in icse.HEADER} | {"MD5": MD5} | cells
    return ";".join(by_name.values())


def read(*lines: str, header: str = HEADER) -> list[Entry | Rejected]:
    return list(icse.read(io.BytesIO("\r\n".join([header, *lines]).encode())))


def test_a_record_is_an_entry_and_what_classifies_it_a_label() -> None:
    (entry,) = read(
        record(
            SHA1=SHA1.upper(),
            Image_ID="1001",
            Is_distributed="True",
            Victim_identified="false",
            Series_name="Synthetic",
            Number_of_submissions="3",
            File_Available="true",
            Media_Type="Image",
            Baseline="true",
        )
    )
    assert entry == Entry(
        "",
        (EntryHash("md5", bytes.fromhex(MD5)), EntryHash("sha1", bytes.fromhex(SHA1))),
        (
            Label("icse:Is distributed", "", "true"),
            Label("icse:Baseline", "", "true"),
            Label("icse:Series name", "", "Synthetic"),
            Label("icse:Media Type", "", "Image"),
        ),
        Provenance(external_id="1001"),
    )
    assert entry.position == 2


def test_more_columns_are_left_out_and_named_once() -> None:
    extra, entry = read(f"{record()};x", header=f"{HEADER};Notes")
    assert extra == Rejected(1, "Notes", "no column of an ICSE export; it was left out")
    assert isinstance(entry, Entry)


@pytest.mark.parametrize(
    ("line", "field", "reason"),
    [
        (record(Baseline="yes"), "Baseline", "'yes' is no flag: expected true, false or nothing"),
        (record(MD5=""), "MD5", "the record holds no hash that is installed"),
        (record(SHA1="x"), "SHA1", "'x' is not a sha1 value"),
        (record(Series_name='"open'), "", "a quoted cell must end on its own line"),
        (MD5, "", "1 cells where the header has 12"),
    ],
)
def test_a_bad_record_costs_only_itself(line: str, field: str, reason: str) -> None:
    bad, good = read(line, record())
    assert isinstance(bad, Rejected)
    assert isinstance(good, Entry)
    assert (bad.position, bad.field) == (2, field)
    assert reason in bad.reason


@pytest.mark.parametrize("header", ["", "MD5;SHA1", HEADER.lower(), HEADER.replace(";", ",")])
def test_another_header_is_another_file(header: str) -> None:
    with pytest.raises(BadFile, match="expected an ICSE export, whose first line is MD5;SHA1;PhotoDNA"):
        read(header=header)
