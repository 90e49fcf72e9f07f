"""Rules that MISP events and STIX bundles have in common.

Theory of operation
-------------------
Both are copied from one platform to the next, so what is repeated in them is held to the rules of what is published:
the caller's own texts must not seem to hold personal data. Names and ids out of lists are taken as they are: nobody
who reports could change one that happens to look like a telephone number.

What this module deliberately does not do: it renders nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

from hashmatch.model.cases import Case, Problem
from hashmatch.projections.basis import SHARED, length_problems, personal_problems, time_problems, times_of
from hashmatch.sections import ReporterConfig

MAX_TEXT_CHARS: Final = 255
"""Of a text that is repeated: what MISP's columns for names hold; STIX bounds none, the platforms that read it do."""


def problems(case: Case, reporter: ReporterConfig, now: dt.datetime) -> Iterator[Problem]:
    """Yield every rule of these formats that a case breaks."""
    if not reporter.name:
        yield Problem("reporter.name", "required", "it names the organisation that shares")
    if not case.hashes:
        yield Problem("hashes", "required", "what is shared is hashes; the case has none")
    yield from time_problems(times_of(case), now)
    said = (("platform", case.platform or reporter.platform), ("classification", case.classification))
    yield from length_problems((name, text, MAX_TEXT_CHARS) for name, text in (*said, *_of_others(case, reporter)))
    yield from personal_problems(said, SHARED)


def _of_others(case: Case, reporter: ReporterConfig) -> Iterator[tuple[str, str]]:
    """Yield what is repeated of the configuration, this service, the decoder and the lists."""
    yield "case_id", case.case_id
    yield "reporter.name", reporter.name
    yield "media.mime", case.media.mime
    for n, match in enumerate(case.matches):
        yield f"matches[{n}].list_name", match.list_name
        yield f"matches[{n}].list_id", match.list_id
        yield f"matches[{n}].entry_id", match.entry_id
        for m, label in enumerate(match.labels):
            for part, text in (("scheme", label.scheme), ("version", label.version), ("value", label.value)):
                yield f"matches[{n}].labels[{m}].{part}", text
