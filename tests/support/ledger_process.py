"""A process that appends to a ledger until it is killed, and prints what it was told is on the disk.

Run as a module with the ledger's directory and the first number: four threads append numbers, each prints a number
after its append has returned. A fifth posts without waiting.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from pathlib import Path

from hashmatch.ledger import Options, Writer
from tests.support.ledger import ABOUT, KEY

OPTIONS = Options(rotate_bytes=8_000, head_every_records=25, fsync_ms=1)


def main() -> None:
    """Append until killed."""
    directory, first = Path(sys.argv[1]), int(sys.argv[2])
    ledger = Writer.open(directory, KEY, about=ABOUT, options=OPTIONS)
    numbers = itertools.count(first)

    def append() -> None:
        while True:
            number = next(numbers)
            ledger.append("note", {"number": number})
            os.write(1, b"%d\n" % number)

    def post() -> None:
        for number in itertools.count():
            ledger.post("posted", {"number": number})
            ledger.append("between", {})

    threads = [threading.Thread(target=target) for target in (append, append, append, append, post)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
