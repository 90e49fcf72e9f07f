"""What a job found, in every format: each row, nothing that runs, opens or shows, and no byte of an image."""

from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import html.parser
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lxml import etree

from hashmatch.errors import BadInput
from hashmatch.hotline.jobs.job import JobFile
from hashmatch.hotline.jobs.job_states import Finished, Planned
from hashmatch.hotline.outputs import page, workbook
from hashmatch.hotline.outputs.charts import BARS_PX, COLUMNS_PX, Amount, lying, standing
from hashmatch.hotline.outputs.formats import FORMATS, format_of
from hashmatch.hotline.outputs.found import UNREACHED, Found
from hashmatch.hotline.outputs.records import FETCHED_FIELDS, ITEM_FIELDS, PLACE_FIELDS, SUMMARY_FIELDS
from hashmatch.hotline.outputs.rows import CODES, COLUMNS, NUMBERS, as_it_is, harmless, item_row
from hashmatch.model import EntryHash, Hit, Label, MediaInfo, Verdict
from hashmatch.model.hotline import Fetched, Hop, Item, Outcome, Place, Submission, Summary, TlsSeen, Via
from hashmatch.projections import iccam
from tests.support.canary import CANARY
from tests.support.hotline.fakes import AT, PNG, picture, report
from tests.support.ports import entry_ref

EVIL = "=cmd|'/c calc'!A1\"<script>alert(1)</script>"
TLS = TlsSeen("TLSv1.3", "TLS_AES_128_GCM_SHA256", "CN=Example CA", "CN=example.org", AT, ("ab" * 32,))
HOP = Hop("https://img.example.org/a.png", "192.0.2.1", 443, (), 200, (("Server", "\xff\xd8"),), TLS, started_at=AT)
FETCHED = Fetched((HOP,), content_type=EVIL, body=picture(CANARY), wire_bytes=9, ended_at=AT, robots="none")
ENTRY = dataclasses.replace(entry_ref("e1"), labels=(Label("ncmec", "2022", "A1"), Label("own", "", "x")))
NEAR = Hit(Verdict.POSSIBLE_MATCH, "r", ENTRY, "pdq", "pdq", 2, 31, "orig", chance=1e-9)
HIT = dataclasses.replace(NEAR, verdict=Verdict.MATCH, distance=4)
REPORT = dataclasses.replace(
    report(Verdict.MATCH),
    hits=(NEAR, HIT),
    media=MediaInfo("PNG", 640, 480),
    hashes=(EntryHash("pdq", b"\1" * 32, 99),),
)
PLACE = Place("192.0.2.1", 64500, EVIL, "192.0.2.0/24", "NL", "abuse@example.org", "", {"country": "table 2026-11"})
ITEM = Item(1, HOP.url, Via.IMG, Outcome.MATCH, EVIL, "https://example.org/page", FETCHED, 9, REPORT, PLACE, "ab" * 32)


def submission(number: int) -> Submission:
    return Submission(number, f"hxxps://example[.]org/{number}", {"report_id": f"R{number}", "remarks": EVIL})


def summary(number: int, outcome: Outcome, items: int = 0) -> Summary:
    counts = {outcome: items} if items else {}
    return Summary(submission(number), outcome, EVIL, f"https://example.org/{number}", FETCHED, PLACE, counts, AT)


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Found]:
    """Five submissions: a match with two images, one again, a page that is gone, one refused, one not reached."""

    def planned(number: int, path: str) -> Planned:
        url = f"https://example.org/{path}"
        return Planned(submission(number), url, url, f"h{number}.example")

    refused = Summary(submission(4), Outcome.REFUSED_URL, "it has no host", checked_at=AT)
    rows = [planned(1, "a"), planned(2, "b"), planned(3, "a"), Planned(submission(4), summary=refused), planned(5, "c")]
    with JobFile.create(tmp_path / "job") as job:
        origin = job.load(iter(rows), lambda: "ab" * 32, "", AT)
        job.begin(9)
        job.advance([], 3)
        other = dataclasses.replace(ITEM, url="", via=Via.INLINE, outcome=Outcome.NO_MATCH, report=None, fetched=None)
        done = summary(1, Outcome.MATCH, 1)
        done = dataclasses.replace(done, counts={Outcome.MATCH: 1, Outcome.NO_MATCH: 1})
        job.advance([Finished(done, (ITEM, other)), Finished(summary(2, Outcome.GONE))], 0)
        yield Found(job.results, origin, AT)


def written(found: Found, form: str, address: Callable[[str], str] = harmless) -> bytes:
    stream = io.BytesIO()
    FORMATS[form](found, stream, address)
    return stream.getvalue()


# --- rows --------------------------------------------------------------------------------------------------------


def test_the_columns_are_those_that_hotlines_hand_to_each_other() -> None:
    assert COLUMNS[2 : 2 + len(iccam.COLUMNS)] == iccam.COLUMNS
    assert len(set(COLUMNS)) == len(COLUMNS)
    assert set(COLUMNS) >= NUMBERS


def test_a_row_says_what_is_known_and_nothing_else() -> None:
    assert item_row(submission(1), ITEM) == {
        "row": "image", "number": 1, "report_id": "R1", "page_url": "hxxps://example[.]org/page",
        "item_url": "hxxps://img[.]example[.]org/a.png", "final_item_url": "hxxps://img[.]example[.]org/a.png",
        "discovered_via": "img", "fetched_at": "2026-11-28T09:30:00.000Z", "http_status": 200,
        "content_type_declared": EVIL, "content_type_sniffed": "image/png", "bytes": 7, "width": 640, "height": 480,
        "frames": 1, "sha256": "32" * 32, "md5": "6d" * 16, "pdq": "01" * 32, "pdq_quality": 99, "match": "yes",
        "list_id": ENTRY.set_name, "list_version": ENTRY.set_version, "entry_id": "e1", "distance": 4,
        "harm_domain": "other", "classification_scheme": "ncmec|own", "classification_value": "A1|x",
        "ip": "192.0.2.1", "asn": 64500, "as_org": EVIL, "country": "NL", "country_method": "table 2026-11",
        "tls_issuer": "CN=Example CA", "redirects": 0, "robots": "none", "outcome_code": "MATCH",
        "evidence_id": "ab" * 32, "detail": EVIL, "url_received": "hxxps://example[.]org/1", "remarks": EVIL,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("https://example.org/a.b", "hxxps://example[.]org/a.b"),
        ("hxxps://example[.]org/a", "hxxps://example[.]org/a"),
        ("http://example[.]org/a", "hxxp://example[.]org/a"),
        ("www.example.org/a.b", "www[.]example[.]org/a.b"),
        ("https://x.example/\u202egpj", "hxxps://x[.]example/\\u202egpj"),
        ("", ""),
    ],
)
def test_addresses_are_made_harmless_once(url: str, written: str) -> None:
    assert harmless(url) == harmless(harmless(url)) == written


def test_a_row_of_what_no_list_knew_names_none() -> None:
    row = item_row(submission(1), dataclasses.replace(ITEM, report=dataclasses.replace(REPORT, hits=())))
    assert {"list_id", "entry_id", "distance", "harm_domain"} & row.keys() == set()
    assert row["pdq_quality"] == 99


def test_every_outcome_has_a_code_and_no_code_says_harmless() -> None:
    assert set(CODES) == set(Outcome)
    assert len(set(CODES.values())) == len(Outcome)
    assert not any(word in code for code in CODES.values() for word in ("SAFE", "LEGAL", "CLEAN", "OK"))


# --- CSV ---------------------------------------------------------------------------------------------------------


def rows_of(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_csv_has_a_row_per_image_and_per_submission(found: Found) -> None:
    rows = rows_of(written(found, "csv"))
    assert [(row["row"], row["number"], row["outcome_code"], row["same_as"]) for row in rows] == [
        ("image", "1", "MATCH", ""),
        ("image", "1", "NO_MATCH", ""),
        ("url", "1", "MATCH", ""),
        ("url", "2", "GONE", ""),
        ("url", "3", "MATCH", "1"),
        ("url", "4", "REFUSED_URL", ""),
        ("url", "5", "ABORTED", ""),
    ]
    assert (rows[2]["images"], rows[2]["matches"], rows[6]["detail"]) == ("2", "1", UNREACHED)
    assert tuple(rows[0]) == COLUMNS


def test_no_cell_of_csv_is_a_formula(found: Found) -> None:
    for row in rows_of(written(found, "csv")):
        assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
        assert row["remarks"] == "'" + EVIL
    assert "=cmd" in written(found, "csv").decode()


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_addresses_are_as_they_are_only_where_that_is_asked_for(found: Found, form: str) -> None:
    def text(address: Callable[[str], str]) -> str:
        data = written(found, form, address)
        if form == "csv":
            return data.decode("utf-8-sig")
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            return "".join(book.read(name).decode() for name in book.namelist() if "/worksheets/" in name)

    assert re.findall(r"https?://(?!schemas\.)", text(harmless)) == []
    assert "https://img.example.org/a.png" in text(as_it_is)


# --- JSON Lines --------------------------------------------------------------------------------------------------


def test_json_lines_are_whole(found: Found) -> None:
    records = [json.loads(line) for line in written(found, "jsonl").splitlines()]
    assert [(record["row"], record["number"]) for record in records] == [
        ("image", 1),
        ("image", 1),
        ("url", 1),
        ("url", 2),
        ("url", 3),
        ("url", 4),
        ("url", 5),
    ]
    assert all(set(record) == set(ITEM_FIELDS if record["row"] == "image" else SUMMARY_FIELDS) for record in records)
    assert set(records[0]["fetched"]) == set(FETCHED_FIELDS)
    assert set(records[0]["place"]) == set(PLACE_FIELDS)
    assert records[0]["url"] == HOP.url
    assert records[0]["fetched"]["hops"][0]["headers"] == [["Server", "\xff\xd8"]]
    assert [hit["distance"] for hit in records[0]["report"]["hits"]] == [2, 4]
    assert (records[2]["counts"], records[4]["same_as"]) == ({"match": 1, "no_match": 1}, 1)
    assert records[2]["submission"]["url"] == "hxxps://example[.]org/1"


# --- XLSX --------------------------------------------------------------------------------------------------------

SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheets(data: bytes) -> dict[str, etree._Element]:
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        names = etree.fromstring(book.read("xl/workbook.xml")).iter(f"{SHEET}sheet")
        return {
            name.get("name", ""): etree.fromstring(book.read(f"xl/worksheets/sheet{at}.xml"))
            for at, name in enumerate(names, 1)
        }


def texts(sheet: etree._Element) -> list[list[str]]:
    return [["".join(cell.itertext()) for cell in row.iter(f"{SHEET}c")] for row in sheet.iter(f"{SHEET}row")]


def test_a_workbook_has_two_sheets_with_frozen_headers_and_filters(found: Found) -> None:
    book = sheets(written(found, "xlsx"))
    assert list(book) == ["images", "urls"]
    assert [len(texts(sheet)) for sheet in book.values()] == [3, 6]
    for sheet in book.values():
        (pane,) = sheet.iter(f"{SHEET}pane")
        assert (pane.get("state"), pane.get("ySplit")) == ("frozen", "1")
        assert len(list(sheet.iter(f"{SHEET}autoFilter"))) == 1
    assert "item_url" in texts(book["images"])[0]
    assert "item_url" not in texts(book["urls"])[0]


def test_a_workbook_holds_no_formula_link_or_picture(found: Found) -> None:
    data = written(found, "xlsx", as_it_is)
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        assert [
            name for name in book.namelist() if "media" in name or "drawing" in name or "externalLink" in name
        ] == []
        assert not any("hyperlink" in book.read(name).decode() for name in book.namelist() if name.endswith(".rels"))
    for sheet in sheets(data).values():
        assert list(sheet.iter(f"{SHEET}f", f"{SHEET}hyperlink")) == []
        assert {cell.get("t") for row in sheet.iter(f"{SHEET}row") for cell in row} <= {"inlineStr", "s", "n", None}
    assert EVIL in texts(sheets(data)["images"])[1]


def test_what_a_sheet_cannot_hold_goes_on_in_the_next(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MAX_ROWS", 2)
    monkeypatch.setattr(workbook, "MAX_CHARS", 10)
    book = sheets(written(found, "xlsx"))
    assert {name: len(texts(sheet)) for name, sheet in book.items()} == {
        "images": 3,
        "images 2": 1,
        "urls": 3,
        "urls 2": 3,
        "urls 3": 2,
    }
    assert "=cmd|'/..." in texts(book["images"])[1]


def test_temporary_files_lie_beside_the_job(found: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/nonexistent")
    written(found, "xlsx")
    assert {path.name for path in tmp_path.iterdir()} <= {"job", "job-wal", "job-shm"}


# --- HTML --------------------------------------------------------------------------------------------------------


class Seen(html.parser.HTMLParser):
    """Collects elements, attributes and texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        """Note it."""
        if self.tags and self.tags[-1] in {"td", "th"}:
            self.rows[-1][-1] += data.strip("\n")


def seen(text: str) -> Seen:
    parser = Seen()
    parser.feed(text)
    return parser


def test_the_page_stands_by_itself_and_opens_nothing(found: Found) -> None:
    text = written(found, "html", as_it_is).decode()
    parsed = seen(text)
    assert not {"a", "img", "iframe", "link", "object", "embed", "form", "image", "base"} & set(parsed.tags)
    assert not {"href", "src", "srcset", "style", "action"} & {name for name, _ in parsed.attributes}
    assert [name for name, _ in parsed.attributes if name.startswith("on")] == []
    assert parsed.tags.count("script") == parsed.tags.count("style") == 1
    assert re.findall(r"https?://", text) == []
    assert "url(" not in text


def test_the_policy_allows_the_one_style_and_script_and_nothing_else(found: Found) -> None:
    text = written(found, "html").decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    policy = policy.replace("&#39;", "'")
    for tag in ("script", "style"):
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_what_strangers_say_is_text(found: Found) -> None:
    text = written(found, "html").decode()
    assert "<script>alert" not in text
    assert EVIL in {cell for row in seen(text).rows for cell in row}


def test_the_page_has_every_row_those_that_matched_first(found: Found) -> None:
    rows = seen(written(found, "html").decode()).rows
    images = [row for row in rows if len(row) == len(page.IMAGE_COLUMNS)]
    urls = [row for row in rows if len(row) == len(page.URL_COLUMNS)]
    assert [row[1] for row in images] == ["outcome_code", "MATCH", "NO_MATCH"]
    assert [(row[0], row[1]) for row in urls[1:]] == [
        ("1", "MATCH"),
        ("3", "MATCH"),
        ("2", "GONE"),
        ("4", "REFUSED_URL"),
        ("5", "ABORTED"),
    ]


def test_what_the_page_leaves_out_it_says(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MAX_ROWS", 1)
    text = written(found, "html").decode()
    assert "1 further rows are left out here; those that matched come first." in text
    assert "4 further rows are left out here; those that matched come first." in text


def test_the_page_charts_outcomes_hosts_countries_and_time(found: Found) -> None:
    text = written(found, "html").decode()
    parsed = seen(text)
    assert parsed.tags.count("svg") == 4
    titles = re.findall(r"<g><title>([^<]*)</title>", text)
    assert titles == [
        "MATCH: 2",
        "REFUSED_URL: 1",
        "ABORTED: 1",
        "GONE: 1",
        "img[.]example[.]org: 1, 1 matched",
        "NL: 2, 1 matched",
        "2026-11-28T09:30:00.000Z: 2, 1 matched",
    ]


def test_bars_are_as_long_as_what_they_show() -> None:
    chart = lying("x", [Amount("a", 10, 5), Amount("b", 5)])
    assert [(bar.length_px, bar.matched_px, bar.said) for bar in chart.bars] == [
        (BARS_PX, BARS_PX / 2, "10, 5 matched"),
        (BARS_PX / 2, 0.0, "5"),
    ]
    assert [bar.length_px for bar in standing("x", [Amount("a", 4), Amount("b", 1)]).bars] == [COLUMNS_PX, 40.0]
    assert lying("x", []).bars == standing("x", [Amount("a", 0)]).bars[:0]


# --- all of them -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_no_output_holds_a_byte_of_an_image(found: Found, form: str) -> None:
    data = written(found, form)
    parts = [data]
    if form == "xlsx":
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            parts += [book.read(name) for name in book.namelist()]
    for part in parts:
        assert PNG not in part
        assert CANARY.encode() not in part
        assert b"\xff\xd8\xff" not in part


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_an_empty_job_has_outputs(tmp_path: Path, form: str) -> None:
    with JobFile.create(tmp_path / "job") as job:
        origin = job.load(iter([]), lambda: "ab" * 32, "", AT)
        assert written(Found(job.results, origin, AT), form) != b"" or form == "jsonl"


@pytest.mark.parametrize(
    ("name", "stated", "form"),
    [("a.csv", None, "csv"), ("a.HTM", "csv", "html"), ("x.ndjson", None, "jsonl"), ("-", "xlsx", "xlsx"),
     ("a.txt", "jsonl", "jsonl")],
)  # fmt: skip
def test_a_format_is_what_a_name_ends_in_or_what_is_stated(name: str, stated: str | None, form: str) -> None:
    assert format_of(name, stated) == form


def test_a_name_that_says_nothing_needs_a_format() -> None:
    with pytest.raises(BadInput) as caught:
        format_of("a.txt", None)
    assert caught.value.message == "a.txt: end its name in .csv, .jsonl, .xlsx, .html, or say --format"
