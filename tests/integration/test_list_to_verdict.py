"""From a list file to a verdict: import, publish, ask, with nothing in between that is not the real thing."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.config import IndexConfig, PolicyConfig
from hashmatch.exchange import delimited
from hashmatch.index.live import LiveIndex
from hashmatch.matching.engine import Engine
from hashmatch.matching.given import HashedItem
from hashmatch.model import EntryHash, HarmDomain, MatchReport, Opinion, SetMode, Stance, Verdict
from hashmatch.publish import Publisher
from tests.support.catalog import WHY
from tests.support.ports import FakeHasher

PHOTODNA = bytes(range(144))


class Scene:
    """A catalog, its index and an engine; changes count once :meth:`publish` was called."""

    def __init__(self, folder: Path, policy: PolicyConfig) -> None:
        self.catalog = SqliteCatalog.open(folder / "catalog.sqlite3")
        self.index = LiveIndex()
        self.publisher = Publisher(self.catalog, self.index, folder / "segments", IndexConfig())
        self.publisher.start()
        self.engine = Engine(FakeHasher(), self.index, policy, max_hits=10)

    def read(self, name: str, csv: str) -> None:
        """Import a list and publish it."""
        result = self.catalog.import_entries(name, delimited.read(io.BytesIO(csv.encode())))
        assert result.rejected == 0
        self.publisher.sync()

    async def ask(self, *hashes: EntryHash) -> MatchReport:
        """Return the report on the hashes of one picture."""
        (report,) = await self.engine.detect_hashes([HashedItem(hashes)])
        return report


@contextlib.contextmanager
def scene(folder: Path, policy: PolicyConfig | None = None) -> Iterator[Scene]:
    """Make a scene in ``folder`` and close it."""
    made = Scene(folder, policy or PolicyConfig())
    try:
        yield made
    finally:
        made.publisher.close()
        made.catalog.close()


async def test_an_opaque_value_goes_from_a_list_to_a_verdict(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        here.catalog.create_set("known", HarmDomain.CSAM)
        here.read("known", f"entry_id,PhotoDNA\ne1,{PHOTODNA.hex()}\n")
        for moment in ("in the delta", "in a snapshot"):
            report = await here.ask(EntryHash("photodna", PHOTODNA))
            assert (report.verdict, report.rule) == (Verdict.MATCH, "opaque_equal"), moment
            assert [(hit.entry.entry_id, hit.algorithm, hit.distance) for hit in report.hits] == [("e1", "photodna", 0)]
            one_bit_off = PHOTODNA[:-1] + bytes([PHOTODNA[-1] ^ 1])
            assert (await here.ask(EntryHash("photodna", one_bit_off))).verdict is Verdict.NO_MATCH
            here.publisher.compact()
        here.catalog.withdraw("known", "e1", reason="a mistake", actor="ann")
        here.publisher.sync()
        assert (await here.ask(EntryHash("photodna", PHOTODNA))).verdict is Verdict.NO_MATCH


async def test_allowed_disputed_shadowed_and_withdrawn_from_the_catalog_on(tmp_path: Path) -> None:
    near, known = EntryHash("pdq", bytes(31) + b"\x01", 100), bytes(31) + b"\x1f"
    with scene(tmp_path) as here:
        here.catalog.create_set("known", HarmDomain.CSAM)
        here.catalog.create_set("reviewed", HarmDomain.CSAM, mode=SetMode.ALLOW)
        here.read("known", f"entry_id,pdq\ne1,{known.hex()}\n")
        assert (await here.ask(near)).verdict is Verdict.MATCH
        here.read("reviewed", f"entry_id,pdq\nok,{near.hex}\n")
        report = await here.ask(near)
        assert (report.verdict, report.rule) == (Verdict.NO_MATCH, "suppressed_by_allow_set")
        assert [(hit.entry.entry_id, hit.rule, hit.allowed_by) for hit in report.hits] == [
            ("ok", "entry_allowed", ""),
            ("e1", "suppressed_by_allow_set", "reviewed/ok"),
        ]
        assert (await here.ask(EntryHash("pdq", known, 100))).verdict is Verdict.MATCH, "nearer to the known one"
        steps: list[tuple[Callable[[], object], str]] = [
            (lambda: here.catalog.dispute("reviewed", "ok", **WHY), "within_match_distance"),
            (lambda: here.catalog.reinstate("reviewed", "ok", **WHY), "suppressed_by_allow_set"),
            (lambda: here.catalog.set_mode("reviewed", SetMode.SHADOW, **WHY), "within_match_distance"),
            (lambda: here.catalog.dispute("known", "e1", **WHY), "entry_disputed"),
            (lambda: here.catalog.set_mode("known", SetMode.SHADOW, **WHY), "set_in_shadow"),
            (lambda: here.catalog.set_mode("reviewed", SetMode.ALLOW, **WHY), "entry_allowed"),
            (lambda: here.catalog.withdraw("reviewed", "ok", **WHY), "set_in_shadow"),
            (lambda: here.catalog.withdraw("known", "e1", **WHY), "nothing_within_reach"),
        ]
        for change, rule in steps:
            change()
            here.publisher.sync()
            assert (await here.ask(near)).rule == rule


async def test_a_hit_says_the_terms_and_who_agrees_and_nothing_of_it_changes_the_verdict(tmp_path: Path) -> None:
    with scene(tmp_path) as here:
        here.catalog.create_set("known", HarmDomain.CSAM, terms="terms of the set")
        here.read(
            "known",
            "entry_id,md5,terms,opinions,status\n"
            f"e1,{bytes(15).hex()}01,,a=agree;b=disagree,\n"
            f"e2,{bytes(15).hex()}02,stop_transmission_only,,\n"
            f"e3,{bytes(15).hex()}03,,,quarantined\n",
        )
        here.catalog.vote("known", "e1", Opinion("c", Stance.DISAGREE, "another picture", None, "md5"), actor="ann")
        here.publisher.sync()
        for moment in ("in the delta", "in a snapshot"):
            reports = [await here.ask(EntryHash("md5", bytes(15) + bytes([last]))) for last in (1, 2, 3)]
            entries = [report.hits[0].entry for report in reports]
            assert [(entry.terms, entry.agree, entry.disagree) for entry in entries] == [
                ("terms of the set", 1, 2),
                ("stop_transmission_only", 0, 0),
                ("terms of the set", 0, 0),
            ], moment
            assert [report.verdict for report in reports] == [Verdict.MATCH, Verdict.MATCH, Verdict.NO_MATCH]
            here.publisher.compact()
