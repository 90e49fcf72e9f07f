"""Where a CyberTip stands and what comes next: a pure function of the progress that was saved.

Theory of operation
-------------------
A report at NCMEC is opened, gets its file and the details of that, and is finished, which cannot be undone. Progress is
saved before and after each step that cannot be repeated, and :func:`next_step` reads it. What was begun and has no
answer is dealt with so that nothing is lost and nothing told twice:

========= ==============================================================================================================
submit    may be repeated: a report that was opened and never finished is deleted by NCMEC
upload    the report may have a file whose id nobody knows: the report is left, a new one opened
fileinfo  may be sent once per file, and nobody knows whether it was: likewise
finish    nobody knows, and no call asks: a person decides
========= ==============================================================================================================

NCMEC deletes an unfinished report 24 hours after it was opened or one hour after its last file or details, whichever is
later; one that is past that is left, and a new one opened.

A person's retry counts the tries of a delivery anew, so a try whose number is not above that of the finish that was
sent is one that a person asked for: it sends the finish once more, and NCMEC says 5102 where the first one had arrived.

What this module deliberately does not do: it talks to nobody and reads no clock.

Source: reference formats §2.1.
"""

from __future__ import annotations

import datetime as dt
import enum
from typing import Final

from hashmatch.outbox.parcels import Progress
from hashmatch.projections.cybertip_file import IDLE_LIFE_S, REPORT_LIFE_S

REPORT_ID: Final = "report_id"
OPENED_AT: Final = "opened_at"
ACTIVE_AT: Final = "active_at"
"""When the last file or details were begun to be sent."""
UPLOAD_BEGUN: Final = "upload_begun"
FILE_ID: Final = "file_id"
FILEINFO_BEGUN: Final = "fileinfo_begun"
FILEINFO_DONE: Final = "fileinfo_done"
FINISH_SENT: Final = "finish_sent"
"""Number of the try that sent the finish."""
ABANDONED: Final = "abandoned"
"""Reports that were left unfinished, the latest last."""
REQUEST_IDS: Final = "request_id."
"""Begins the keys of NCMEC's own numbers of requests; its support asks for them."""

_KEPT_ABANDONED: Final = 5


class Step(enum.Enum):
    """What comes next."""

    OPEN = "open"
    START_OVER = "start over"
    AWAIT_FILE = "await file"
    DESCRIBE = "describe"
    FINISH = "finish"
    ASK_A_PERSON = "ask a person"


def next_step(progress: Progress, *, with_file: bool, attempt: int, now: dt.datetime) -> Step:
    """Return what comes next.

    Parameters
    ----------
    progress : Progress
        As it was saved.
    with_file : bool
        Whether somebody relays a file.
    attempt : int
        Number of this try, from 1.
    now : datetime
        For the clocks of NCMEC.

    """
    if FINISH_SENT in progress:
        return Step.ASK_A_PERSON if attempt > int(progress[FINISH_SENT]) else Step.FINISH
    if REPORT_ID not in progress:
        return Step.OPEN
    halfway = UPLOAD_BEGUN in progress or FILEINFO_BEGUN in progress
    if halfway or now >= deadline(progress):
        return Step.START_OVER
    if with_file and FILE_ID not in progress:
        return Step.AWAIT_FILE
    if FILE_ID in progress and FILEINFO_DONE not in progress:
        return Step.DESCRIBE
    return Step.FINISH


def deadline(progress: Progress) -> dt.datetime:
    """Return when NCMEC deletes an open report; our times are taken before each request, so never later than that."""
    opened = dt.datetime.fromisoformat(progress[OPENED_AT]) + dt.timedelta(seconds=REPORT_LIFE_S)
    active = dt.datetime.fromisoformat(progress.get(ACTIVE_AT, progress[OPENED_AT])) + dt.timedelta(seconds=IDLE_LIFE_S)
    return max(opened, active)


def opened(progress: Progress, report_id: str, at: dt.datetime) -> Progress:
    """Return the progress with a report that was just opened."""
    return {**progress, REPORT_ID: report_id, OPENED_AT: at.isoformat()}


def begun(progress: Progress, key: str, text: str) -> Progress:
    """Return the progress with a step that is about to be taken."""
    return {**progress, key: text}


def undone(progress: Progress, key: str) -> Progress:
    """Return the progress without a step that was certainly not taken."""
    return {name: text for name, text in progress.items() if name != key}


def done(progress: Progress, key: str, result: str, text: str) -> Progress:
    """Return the progress with a step that was begun and is done."""
    return {**undone(progress, key), ACTIVE_AT: progress[key], result: text}


def left(progress: Progress) -> Progress:
    """Return the progress without its report, which is remembered as abandoned."""
    names = [*progress.get(ABANDONED, "").split(), progress[REPORT_ID]][-_KEPT_ABANDONED:]
    kept = {name: text for name, text in progress.items() if name.startswith(REQUEST_IDS)}
    return {**kept, ABANDONED: " ".join(names)}
