"""Letters name the law of their domain, in every language, and that of no other domain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import pytest

from hashmatch.model import HarmDomain
from hashmatch.projections import letter
from hashmatch.projections.wording import PHRASES
from hashmatch.sections import ReporterConfig
from tests.support.notice_cases import CONTEXT, HOTLINE, LANGUAGES, PROVIDER
from tests.support.union_cases import DECISION, in_domain

_D = HarmDomain
LAWS: Final[Mapping[HarmDomain, frozenset[str]]] = MappingProxyType(
    {
        _D.CSAM: frozenset({"2011/93"}),
        _D.CSE_EXPLOITATIVE: frozenset({"2011/93"}),
        _D.NCII: frozenset({"2024/1385"}),
        _D.TVEC: frozenset({"2021/784", "2017/541"}),
        _D.THB: frozenset({"2011/36", "2024/1712"}),
        _D.WILDLIFE: frozenset({"338/97", "2024/1203"}),
        _D.IPR: frozenset({"2004/48"}),
        _D.WEAPONS: frozenset({"2021/555"}),
        _D.DRUGS: frozenset({"2004/757"}),
        _D.OTHER: frozenset(),
    }
)
"""Numbers of the acts, which are the same in every language; beside them stands the Digital Services Act."""

ACT: Final = re.compile(r"(?<![\w./])(?:\d{4}/\d{2,4}|338/97)(?=[ ,.;/)]|$)")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reporter", [HOTLINE, PROVIDER], ids=["hotline", "provider"])
@pytest.mark.parametrize("domain", HarmDomain)
def test_the_acts_are_those_of_the_domain(domain: HarmDomain, reporter: ReporterConfig, language: str) -> None:
    decision = replace(DECISION, legal_basis="our rules") if domain is HarmDomain.OTHER else None
    case = replace(in_domain(domain, "a-list"), decision=decision, urgent="", note="")
    document = letter.render(case, replace(CONTEXT, reporter=reporter, language=language))
    said = set(ACT.findall(dict(document.parts)["text"].decode().replace("\n", " ")))
    assert said - {"2022/2065"} == LAWS[domain]
    assert ("2022/2065" in said) is (reporter.hotline or domain in {_D.CSAM, _D.CSE_EXPLOITATIVE, _D.TVEC, _D.THB})


@pytest.mark.parametrize("key", [key for key in PHRASES if key.startswith("law.")])
def test_an_act_is_of_the_same_kind_in_every_language(key: str) -> None:
    kinds = {
        "en": ("Regulation", "Directive", "Framework Decision"),
        "nl": ("Verordening", "Richtlijn", "Kaderbesluit"),
        "fr": ("règlement", "directive", "décision-cadre"),
        "de": ("Verordnung", "Richtlinie", "Rahmenbeschlusses"),
    }
    named = {language: [kind in PHRASES[key][language] for kind in kinds[language]] for language in LANGUAGES}
    assert named == dict.fromkeys(LANGUAGES, named["en"])
    assert any(named["en"])
