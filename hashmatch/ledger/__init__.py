"""An append-only log that shows every change: hash-chained records in files, and signed heads to be kept elsewhere.

Theory of operation
-------------------
``records`` has the one text of a record and its digest, ``heads`` what is signed, ``chain`` what may be wrong with a
stream of lines; all three are pure. ``composing`` puts entries at the end of a ledger, ``files`` is the wall around the
disk, ``writer`` the one thread that appends; ``reader`` reads and verifies a directory, and ``removal`` says what of it
may go.

To record, and be sure of it::

    with Writer.open(directory, key, about={"tool": "hashmatch", "version": __version__}) as ledger:
        stored = ledger.append("url_checked", {"url_sha256": "…"})  # waits for the disk
        future = ledger.submit("url_checked", {"url_sha256": "…"})  # or asyncio.wrap_future(future)
        ledger.post("detect", lambda: {"verdict": "no_match"})  # does not wait; made in the ledger's thread
        kept_elsewhere = ledger.head()  # one signed line of what is recorded so far

To verify, also while it is written::

    summary, findings = verified(directory, keys=[load_verify_key(path)], against=[heads_kept_elsewhere])
    for finding in findings:
        print(finding.where, finding.line, finding.wrong, finding.detail)
    print(summary.records, summary.unvouched)

To read: ``read_records(directory)``. Segments are JSON Lines that any tool reads; SHA-256 over the byte 0x00 and a line
is the ``previous`` of the next.

What this package deliberately does not do: it knows nothing of what is recorded, and it does not say that a record is
true, only that it was made then and not changed since the head that somebody kept.
"""

from hashmatch.ledger.chain import Finding, Summary, Wrong
from hashmatch.ledger.options import Options, State
from hashmatch.ledger.reader import read_records, verified
from hashmatch.ledger.records import Record, Stored
from hashmatch.ledger.writer import Writer

__all__ = ["Finding", "Options", "Record", "State", "Stored", "Summary", "Writer", "Wrong", "read_records", "verified"]
