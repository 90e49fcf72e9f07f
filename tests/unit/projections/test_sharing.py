"""Cases as MISP events and STIX bundles."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import stix2
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import BadReport, OutletForbidden
from hashmatch.exchange import misp as misp_sets
from hashmatch.exchange import stix as stix_sets
from hashmatch.model import Entry, EntryHash, HarmDomain, Label, Rejected
from hashmatch.model.cases import Case, CaseHash, Decision, Document, Problem
from hashmatch.projections import misp, stix
from hashmatch.projections.basis import Context
from hashmatch.sections import ReporterConfig
from hashmatch.sharing import DOMAIN_TAGS, MATCH_EXTENSION, TAGS, TEMPLATES, TLP_AMBER_STRICT
from tests.support.sharing_cases import (
    CASE,
    CONTEXT,
    GOLDEN,
    MATCH,
    MD5,
    NOTICE,
    NOW,
    PDQ,
    SECRETS,
    SHA1,
    SHA256,
    VECTORS,
)

FORMATS = [pytest.param(misp, id="misp"), pytest.param(stix, id="stix")]


def event(case: Case = CASE) -> Any:
    return json.loads(misp.render(case, CONTEXT).body)["Event"]


def objects(case: Case = CASE) -> list[Any]:
    found: list[Any] = json.loads(stix.render(case, CONTEXT).body)["objects"]
    return found


def of(kind: str, case: Case = CASE) -> list[Any]:
    return [item for item in objects(case) if item["type"] == kind]


@pytest.mark.parametrize("name", GOLDEN)
def test_documents_are_the_golden_ones(name: str) -> None:
    case, render = GOLDEN[name]
    assert render(case, CONTEXT).body == (VECTORS / name).read_bytes()


@pytest.mark.parametrize(
    ("render", "media_type", "file_name"),
    [
        (misp.render, "application/json", "misp-0f6b2f0e-4c1d-4f5e-9d6a-2f4b7c8d9e01.json"),
        (stix.render, "application/stix+json;version=2.1", "stix-0f6b2f0e-4c1d-4f5e-9d6a-2f4b7c8d9e01.json"),
    ],
)
def test_a_document_says_what_it_is(
    render: Callable[[Case, Context], Document], media_type: str, file_name: str
) -> None:
    document = render(CASE, CONTEXT)
    assert (document.media_type, document.file_name, document.parts) == (media_type, file_name, ())


@pytest.mark.parametrize("module", FORMATS)
def test_nothing_personal_is_shared(module: ModuleType) -> None:
    text = module.render(CASE, CONTEXT).body.decode()
    assert [secret for secret in SECRETS if secret in text] == []
    assert "desk@example.org" not in text


@pytest.mark.parametrize("module", FORMATS)
@pytest.mark.parametrize("domain", HarmDomain)
def test_every_domain_can_be_shared(module: ModuleType, domain: HarmDomain) -> None:
    case = replace(CASE, domain=domain, matches=(replace(MATCH, domain=domain),))
    assert domain.value in module.render(case, CONTEXT).body.decode()


@pytest.mark.parametrize("module", FORMATS)
def test_the_guard_of_domains_is_asked_first(module: ModuleType) -> None:
    case = replace(CASE, domain=HarmDomain.NCII, hashes=())
    with pytest.raises(OutletForbidden, match="the case says ncii, its matches are in lists of csam"):
        module.render(case, CONTEXT)


NAMELESS = Problem("reporter.name", "required", "it names the organisation that shares")
RULES: list[tuple[Case, ReporterConfig, Problem]] = [
    (CASE, ReporterConfig(), NAMELESS),
    (
        replace(CASE, hashes=()),
        CONTEXT.reporter,
        Problem("hashes", "required", "what is shared is hashes; the case has none"),
    ),
    (
        replace(CASE, observed_at=dt.datetime(2026, 11, 28, 8)),  # noqa: DTZ001 - that is what is wrong with it
        CONTEXT.reporter,
        Problem("observed_at", "zone", "2026-11-28T08:00:00 has no zone; give an offset, such as Z or +01:00"),
    ),
    (
        replace(CASE, occurred_at=NOW + dt.timedelta(days=1)),
        CONTEXT.reporter,
        Problem("occurred_at", "future", "2026-11-29T09:30:00+00:00 is in the future"),
    ),
    (
        replace(CASE, platform="x" * 256),
        CONTEXT.reporter,
        Problem("platform", "length", "256 characters are too many; at most 255"),
    ),
    (
        replace(CASE, matches=(replace(MATCH, entry_id="a\0"),)),
        CONTEXT.reporter,
        Problem("matches[0].entry_id", "characters", "control characters are not allowed"),
    ),
    (
        replace(CASE, classification="ask jane.doe@example.org"),
        CONTEXT.reporter,
        Problem(
            "classification",
            "personal data",
            "seems to hold an e-mail address; this document is passed on, and its readers are not known: leave it out",
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize("module", FORMATS)
@pytest.mark.parametrize(("case", "reporter", "problem"), RULES, ids=[f"{p.field}-{p.rule}" for _, _, p in RULES])
def test_what_breaks_a_rule_is_refused(
    module: ModuleType, case: Case, reporter: ReporterConfig, problem: Problem
) -> None:
    assert module.problems(case, reporter, NOW) == (problem,)
    with pytest.raises(BadReport) as refused:
        module.render(case, replace(CONTEXT, reporter=reporter))
    title = "MISP event" if module is misp else "STIX bundle"
    assert refused.value.message == f"{title}: {problem.field}: {problem.message} ({problem.rule})"
    assert refused.value.field == problem.field


@pytest.mark.parametrize("module", FORMATS)
def test_a_right_case_breaks_no_rule(module: ModuleType) -> None:
    assert module.problems(CASE, CONTEXT.reporter, NOW) == ()


def test_no_attribute_is_for_detection_or_correlation() -> None:
    attributes = [item for found in event()["Object"] for item in found["Attribute"]]
    assert len(attributes) == 4 + 5 + 3
    assert {(item["to_ids"], item["disable_correlation"]) for item in attributes} == {(False, True)}


def test_the_file_has_digests_size_and_type() -> None:
    (file,) = [found for found in event()["Object"] if found["name"] == "file"]
    stated = {item["object_relation"]: (item["type"], item["value"]) for item in file["Attribute"]}
    assert stated == {
        "md5": ("md5", MD5.hex),
        "sha256": ("sha256", SHA256.hex),
        "size-in-bytes": ("size-in-bytes", "48213"),
        "mimetype": ("mime-type", "image/jpeg"),
    }
    assert file["Attribute"][0]["Sighting"] == [{"type": "0", "date_sighting": "1795849200", "source": "hashmatch"}]
    assert dt.datetime.fromtimestamp(1_795_849_200, dt.UTC) == CASE.observed_at.replace(microsecond=0)


def test_a_perceptual_hash_has_the_widest_threshold_that_it_was_held_against() -> None:
    (found,) = [found for found in event()["Object"] if found["name"] == "perceptual-hash"]
    stated = {item["object_relation"]: item["value"] for item in found["Attribute"]}
    assert stated == {
        "algorithm": "pdq",
        "value": PDQ.hex,
        "encoding": "hex",
        "quality": "87",
        "distance-threshold": "40",
    }


def test_the_report_refers_to_what_it_speaks_of_and_says_it() -> None:
    report, *about = event()["Object"]
    assert [item["referenced_uuid"] for item in report["ObjectReference"]] == [item["uuid"] for item in about]
    stated = {item["object_relation"]: item["value"] for item in report["Attribute"]}
    assert stated["case-number"] == "case-2026-0001"
    assert stated["summary"].splitlines() == [
        "Reported by Example Hotline, observed 2026-11-28 07:00:00 UTC.",
        "Platform: Example Pictures.",
        "Found by machine; a person has not looked at it.",
        "The reporter's classification: A1.",
        "match: pdq at 4 of at most 31 bits from entry e-17 of known-pictures, version 12 (ncmec/2022=A1, copine=7).",
        "possible_match: pdq at 36 of at most 40 bits from entry x/9 of hotline, version 12 (ncmec/2022=A1), disputed.",
    ]


def test_a_person_who_found_and_looked_is_told() -> None:
    case = replace(CASE, automated_detection=False, viewed_by_human=True, matches=())
    summary = event(case)["Object"][0]["Attribute"][2]["value"]
    assert "Found by a person; a person has looked at it." in summary


@pytest.mark.parametrize("domain", HarmDomain)
def test_tags_are_of_the_domain(domain: HarmDomain) -> None:
    case = replace(CASE, domain=domain, matches=())
    assert misp.tags(case) == (*TAGS, *DOMAIN_TAGS.get(domain, ()))


@pytest.mark.parametrize(
    ("label", "tagged"),
    [
        (Label("copine", "", "7"), ["copine-scale:level-7"]),
        (Label("COPINE", "1997", "level-10"), ["copine-scale:level-10"]),
        (Label("copine-scale", "", " level-1 "), ["copine-scale:level-1"]),
        (Label("copine", "", "11"), []),
        (Label("copine", "", "0"), []),
        (Label("copine", "", "٣"), []),
        (Label("iwf", "", "7"), []),
    ],
)
def test_copine_is_tagged_only_where_it_is_given(label: Label, tagged: list[str]) -> None:
    by_list = replace(CASE, matches=(replace(MATCH, labels=(label,)),))
    by_reporter = replace(CASE, matches=(), decision=Decision(labels=(label,)))
    for case in (by_list, by_reporter):
        assert [tag for tag in misp.tags(case) if tag.startswith("copine")] == tagged


def test_our_reader_of_sets_finds_the_hashes_of_an_event() -> None:
    body = misp.render(CASE, CONTEXT).body
    read = list(misp_sets.read(io.BytesIO(body)))
    assert [hashes_of(row) for row in read] == [
        {EntryHash("md5", MD5.value), EntryHash("sha256", SHA256.value)},
        {EntryHash("pdq", PDQ.value, 87)},
    ]


def test_our_reader_of_sets_finds_the_digests_of_a_bundle() -> None:
    body = stix.render(CASE, CONTEXT).body
    entries = [row for row in stix_sets.read(io.BytesIO(body)) if isinstance(row, Entry)]
    assert [hashes_of(row) for row in entries] == [{EntryHash("md5", MD5.value), EntryHash("sha256", SHA256.value)}]


def hashes_of(row: Entry | Rejected) -> set[EntryHash]:
    assert isinstance(row, Entry)
    return set(row.hashes)


def test_the_strict_parser_takes_the_bundle() -> None:
    for case in (
        CASE,
        NOTICE,
        replace(CASE, hashes=(SHA1,)),
        replace(CASE, media=replace(CASE.media, mime="")),
    ):
        parsed = stix2.parse(stix.render(case, CONTEXT).body.decode(), allow_custom=False)
        assert {item["type"] for item in parsed.objects} >= {"identity", "indicator", "sighting"}


@pytest.mark.parametrize("hashes", [(MD5, SHA256, PDQ), (SHA256, PDQ), (SHA1, SHA256), (SHA1,)])
def test_the_file_has_the_id_that_anybody_else_would_give_it(hashes: tuple[CaseHash, ...]) -> None:
    (file,) = of("file", replace(CASE, hashes=hashes))
    stated = {key: value for key, value in file.items() if key != "id"}
    assert stix2.parse(stated, allow_custom=False).id == file["id"]


def test_a_file_without_a_digest_is_none_to_stix() -> None:
    kinds = [item["type"] for item in objects(NOTICE)]
    assert kinds == ["marking-definition", "identity", "extension-definition", "indicator", "sighting"]
    assert "observed_data_refs" not in of("sighting", NOTICE)[0]
    assert of("sighting")[0]["observed_data_refs"] == [of("observed-data")[0]["id"]]
    assert of("observed-data")[0]["object_refs"] == [of("file")[0]["id"]]


def test_everything_is_marked() -> None:
    marking, *others = objects()
    assert marking["id"] == TLP_AMBER_STRICT
    assert all(item["object_marking_refs"] == [TLP_AMBER_STRICT] for item in others)


def test_a_pattern_asks_for_digests_only() -> None:
    (indicator,) = of("indicator")
    assert indicator["pattern"] == f"[file:hashes.MD5 = '{MD5.hex}' OR file:hashes.'SHA-256' = '{SHA256.hex}']"
    assert indicator["pattern_type"] == "stix"
    (without,) = of("indicator", NOTICE)
    assert (without["pattern_type"], without["pattern"]) == ("hashmatch", f"pdq:{PDQ.hex}")


def test_a_sighting_says_how_near_it_came() -> None:
    first, second = of("sighting")
    assert first["extensions"][MATCH_EXTENSION] == {
        "extension_type": "property-extension",
        "verdict": "match",
        "list_id": "set-1",
        "list_version": 12,
        "entry_id": "e-17",
        "algorithm": "pdq",
        "distance": 4,
        "threshold": 31,
        "transformation": "orig",
        "disputed": False,
    }
    assert (second["extensions"][MATCH_EXTENSION]["distance"], second["id"] == first["id"]) == (36, False)
    assert (first["first_seen"], first["last_seen"], first["count"]) == (
        "2026-11-28T07:00:00.250Z",
        "2026-11-28T07:00:00.250Z",
        1,
    )


def test_a_case_without_a_match_is_sighted_all_the_same() -> None:
    (sighting,) = of("sighting", NOTICE)
    assert "extensions" not in sighting


def test_classifications_are_said_once_in_their_schemes() -> None:
    (indicator,) = of("indicator")
    assert indicator["extensions"][MATCH_EXTENSION]["classification"] == [
        {"scheme": "ncmec", "version": "2022", "value": "A1"},
        {"scheme": "copine", "value": "7"},
        {"scheme": "reporter", "value": "A1"},
    ]


@given(
    st.lists(
        st.one_of(
            st.builds(CaseHash, st.just("pdq"), st.binary(min_size=32, max_size=32), st.integers(0, 100)),
            st.builds(CaseHash, st.just("md5"), st.binary(min_size=16, max_size=16)),
            st.builds(CaseHash, st.just("sha256"), st.binary(min_size=32, max_size=32)),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda item: item.algorithm,
    ),
    st.integers(0, 1 << 40),
    st.uuids(),
)
def test_any_hashes_make_documents_that_are_equal_each_time(
    hashes: list[CaseHash], size_bytes: int, report_id: Any
) -> None:
    case = replace(CASE, hashes=tuple(hashes), media=replace(CASE.media, size_bytes=size_bytes))
    context = replace(CONTEXT, report_id=report_id)
    for module in (misp, stix):
        assert module.render(case, context) == module.render(case, context)
    stix2.parse(stix.render(case, context).body.decode(), allow_custom=False)
    ids = [item["uuid"] for item in json.loads(misp.render(case, context).body)["Event"]["Object"]]
    assert len(set(ids)) == len(ids)


def test_attributes_are_those_of_the_templates_that_misp_publishes() -> None:
    folder = os.environ.get("HASHMATCH_EXTRA_DATA")
    if not folder or not (schemas := Path(folder, "reference", "schemas", "misp")).is_dir():
        pytest.skip("HASHMATCH_EXTRA_DATA names no directory with MISP's templates")
    for found in event()["Object"]:
        own_made = ".own-made" if found["name"] == "perceptual-hash" else ""
        template = json.loads((schemas / f"object-{found['name']}{own_made}.json").read_text(encoding="utf-8"))
        for attribute in found["Attribute"]:
            assert template["attributes"][attribute["object_relation"]]["misp-attribute"] == attribute["type"]
        if not own_made:
            stated = (template["uuid"], str(template["version"]), template["meta-category"])
            assert stated == TEMPLATES[found["name"]]


def test_tags_are_in_the_taxonomies_that_misp_publishes() -> None:
    folder = os.environ.get("HASHMATCH_EXTRA_DATA")
    if not folder or not (schemas := Path(folder, "reference", "schemas", "misp")).is_dir():
        pytest.skip("HASHMATCH_EXTRA_DATA names no directory with MISP's taxonomies")
    known = set()
    for name in ("dark-web", "content-classification", "copine-scale"):
        taxonomy = json.loads((schemas / f"taxonomy-{name}.json").read_text(encoding="utf-8"))
        known |= {f"{name}:{predicate['value']}" for predicate in taxonomy["predicates"]}
        for group in taxonomy.get("values", []):
            known |= {f'{name}:{group["predicate"]}="{entry["value"]}"' for entry in group["entry"]}
    assert {tag for tags in DOMAIN_TAGS.values() for tag in tags} <= known
    assert {f"copine-scale:level-{level}" for level in range(1, 11)} <= known
