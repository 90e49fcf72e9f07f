"""What NCMEC's reporting service answers, and what that means for a call: done, not done, or nobody knows.

Theory of operation
-------------------
:func:`judged` turns an answer, or the lack of one, into one of three values. A :class:`Taken` happened. A
:class:`NotTaken` did not, and says whether trying again can help, or that the report is gone or was finished. An
:class:`Unknown` may have happened: a broken connection, or an answer that is not NCMEC's. NCMEC's own code decides
where there is one; the HTTP status only where there is none. Codes that the table does not know are kept as numbers.

What this module deliberately does not do: it asks nothing and remembers nothing.

Source: reference formats §2.1.
"""

from __future__ import annotations

import enum
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from lxml import etree

from hashmatch.outbox.parcels import Again, Refused
from hashmatch.outbox.wire import Lost, Reply

DESCRIPTION_CHARACTERS: Final = 300
_CODE: Final = re.compile(r"-?[0-9]{1,9}")


class Why(enum.Enum):
    """Why something was not done."""

    BUSY = "busy"
    """NCMEC's own trouble; the same may work later."""
    REFUSED = "refused"
    GONE = "gone"
    """There is no such report or file: it was deleted before it was finished."""
    FINISHED = "finished"
    RETRACTED = "retracted"


CODES: Final[Mapping[int, tuple[Why, str]]] = types.MappingProxyType(
    {
        1000: (Why.BUSY, "server error"),
        1100: (Why.BUSY, "save failed"),
        1110: (Why.BUSY, "upload failed"),
        1111: (Why.BUSY, "file upload failed"),
        1210: (Why.REFUSED, "resource not found"),
        1300: (Why.BUSY, "update failed"),
        2000: (Why.REFUSED, "authentication required; check the outlet's credentials"),
        3000: (Why.REFUSED, "these credentials may not do this"),
        3100: (Why.REFUSED, "these credentials may not submit reports"),
        3300: (Why.REFUSED, "these credentials may not update reports"),
        4000: (Why.REFUSED, "invalid request"),
        4100: (Why.REFUSED, "validation failed"),
        4110: (Why.REFUSED, "malformed XML"),
        4200: (Why.REFUSED, "malformed file"),
        5001: (Why.GONE, "the report does not exist"),
        5002: (Why.GONE, "the file does not exist"),
        5101: (Why.RETRACTED, "the report was retracted"),
        5102: (Why.FINISHED, "the report is finished"),
    }
)
"""NCMEC's codes. The list is not complete: other codes of 1xxx are its trouble, all others a refusal."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. Texts are bounded; ``files`` are those of a finished report."""

    code: int
    description: str = ""
    report_id: str = ""
    file_id: str = ""
    md5_hex: str = ""
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """It was done."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class NotTaken:
    """It was not done. ``code`` is NCMEC's, 0 where none of its code had a say; ``after_s``: as NCMEC asks."""

    why: Why
    reason: str
    after_s: float | None = None
    code: int = 0

    def outcome(self) -> Again | Refused:
        """Return this as the outcome of a try."""
        return Again(self.reason, self.after_s) if self.why is Why.BUSY else Refused(self.reason)


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been done."""

    reason: str
    after_s: float | None = None


Judged: TypeAlias = Taken | NotTaken | Unknown


def judged(got: Reply | Lost, call: str) -> Judged:
    """Say what came of a call; ``call`` is its name, for messages."""
    if isinstance(got, Lost):
        return Unknown(got.reason) if got.sent else NotTaken(Why.BUSY, got.reason)
    if got.status == 401:  # noqa: PLR2004
        return NotTaken(Why.REFUSED, f"NCMEC refused the credentials of the outlet (HTTP 401 for {call})")
    answer = answer_of(got.body)
    if answer is None:
        return _without_code(got, call)
    if answer.code == 0:
        return Taken(answer)
    busy = 1000 <= answer.code < 2000  # noqa: PLR2004
    why, meaning = CODES.get(answer.code, (Why.BUSY if busy else Why.REFUSED, "unknown code"))
    told = f": {answer.description}" if answer.description else ""
    return NotTaken(why, f"NCMEC answers {call} with {answer.code}, {meaning}{told}", got.retry_after_s, answer.code)


def _without_code(got: Reply, call: str) -> Judged:
    status, told = got.status, f"HTTP {got.status} for {call}, without a code of NCMEC"
    if status == 429:  # noqa: PLR2004
        return NotTaken(Why.BUSY, told, got.retry_after_s)
    if 300 <= status < 400:  # noqa: PLR2004
        return NotTaken(Why.REFUSED, f"{told}: a redirect, which is not followed; check the outlet's url")
    if 400 <= status < 500 and status != 408:  # noqa: PLR2004
        return NotTaken(Why.REFUSED, f"{told}; check the outlet's url and credentials")
    return Unknown(told, got.retry_after_s)


def answer_of(untrusted_body: bytes) -> Answer | None:
    """Read an answer, None where it is none of NCMEC's."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(untrusted_body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    if root.tag not in {"reportResponse", "reportDoneResponse"} or root.getroottree().docinfo.doctype:
        return None
    code = root.findtext("responseCode", "").strip()
    if not _CODE.fullmatch(code):
        return None
    return Answer(
        int(code),
        _text(root, "responseDescription"),
        _text(root, "reportId"),
        _text(root, "fileId"),
        _text(root, "hash").lower(),
        tuple(_shown(element.text or "") for element in root.findall("files/fileId")),
    )


def request_id(got: Reply | Lost) -> str:
    """Return what NCMEC's support asks for, bounded; empty where an answer has none."""
    return "" if isinstance(got, Lost) else _shown(got.headers.get("Request-ID", ""))[:100]


def _text(root: etree._Element, name: str) -> str:
    return _shown(root.findtext(name, ""))


def _shown(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable.strip()[:DESCRIPTION_CHARACTERS]
