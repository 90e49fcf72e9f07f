"""Write the golden CyberTips: ``python -m tests.vectors.reports.cybertip.generate``.

They are what a person has read and found right, held against what is rendered, byte by byte. All of NCMEC's own that
they have is the order of elements and the names; whether the schema agrees is tested where the schema is there.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hashmatch.model import HarmDomain
from hashmatch.model.cases import Document
from hashmatch.projections import cybertip
from hashmatch.projections.cybertip_rules import Extras
from hashmatch.sections import ReporterConfig
from tests.support import tips

HERE = Path(__file__).parent


def documents() -> dict[str, Document]:
    """Return every vector by the name of its files."""
    bare = replace(tips.CONTEXT, reporter=ReporterConfig(email="reports@platform.example.org"))
    hotline = replace(tips.CONTEXT, reporter=replace(tips.REPORTER, hotline=True))
    viewed = replace(tips.full(), viewed_by_human=True, exif_viewed=True, classification="", urgent="")
    return {
        "least": cybertip.render(tips.least(), bare),
        "full": cybertip.render(tips.full(), tips.CONTEXT, Extras(annotations=("sextortion", "spam"))),
        "viewed-supplemental": cybertip.render(viewed, hotline, Extras(supplemental=True)),
        "trafficking": cybertip.render(tips.full(HarmDomain.THB), tips.CONTEXT),
        "batch": cybertip.render_batch([tips.member(n) for n in (1, 2, 3)], tips.CONTEXT),
    }


def files() -> dict[str, bytes]:
    """Return every golden file by name."""
    return {
        name: data
        for vector, document in documents().items()
        for name, data in (
            (f"{vector}.report.xml", document.body),
            *((f"{vector}.{part}.{'json' if part == 'manifest' else 'xml'}", data) for part, data in document.parts),
        )
    }


if __name__ == "__main__":
    for name, data in files().items():
        (HERE / name).write_bytes(data)
