"""Every file of hashsets/interop reads as its table says: the valid ones entirely, the broken ones but for one row."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.errors import BadFile
from hashmatch.exchange import formats
from hashmatch.model import HarmDomain

INTEROP = Path(__file__).parents[3] / "hashsets" / "interop"
TABLE = "expected.json"
VALID: dict[str, Any] = json.loads((INTEROP / "valid" / TABLE).read_text(encoding="utf-8"))
BROKEN: dict[str, Any] = json.loads((INTEROP / "broken" / TABLE).read_text(encoding="utf-8"))


@pytest.fixture
def catalog(tmp_path: Path) -> SqliteCatalog:
    opened = SqliteCatalog.open(tmp_path / "catalog")
    opened.create_set("list", HarmDomain.OTHER)
    return opened


@pytest.mark.parametrize(("folder", "table"), [("valid", VALID), ("broken", BROKEN)])
def test_every_file_is_in_its_table(folder: str, table: dict[str, Any]) -> None:
    assert {path.name for path in (INTEROP / folder).iterdir()} == {*table, TABLE}


@pytest.mark.parametrize("name", sorted(VALID))
def test_valid(catalog: SqliteCatalog, name: str) -> None:
    data = (INTEROP / "valid" / name).read_bytes()
    result = catalog.import_entries("list", formats.sniff(name, data).read(io.BytesIO(data)))
    assert result.rejections == ()
    written = io.BytesIO()
    formats.named("jsonl").write(catalog.entries("list"), written)
    found = [json.loads(line) for line in written.getvalue().splitlines()]
    for entry, wanted in zip(found, VALID[name], strict=True):
        if "received_at" not in wanted:
            del entry["received_at"]  # the moment of this test
        for said, expected in zip(entry.get("opinions", ()), wanted.get("opinions", ()), strict=True):
            if "at" not in expected:
                del said["at"]
        assert entry == wanted
    again = catalog.import_entries("list", formats.sniff(name, data).read(io.BytesIO(data)))
    assert (again.unchanged, again.updated, again.rejected) == (len(found), 0, 0)


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_broken(catalog: SqliteCatalog, name: str) -> None:
    data = (INTEROP / "broken" / name).read_bytes()
    wanted = BROKEN[name]
    if "bad_file" in wanted:
        with pytest.raises(BadFile) as caught:
            catalog.import_entries("list", formats.sniff(name, data).read(io.BytesIO(data)))
        assert wanted["bad_file"] in caught.value.message
        assert catalog.get_set("list").entries == 0
        return
    result = catalog.import_entries("list", formats.sniff(name, data).read(io.BytesIO(data)))
    assert result.hash_set.entries + result.hash_set.withdrawn == wanted["imported"]
    assert [(item.position, item.field) for item in result.rejections] == [
        (item["position"], item["field"]) for item in wanted["rejected"]
    ]
    for item, expected in zip(result.rejections, wanted["rejected"], strict=True):
        assert expected["reason"] in item.reason
