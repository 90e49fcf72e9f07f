"""A worker for pages that does to its parent what a page's title says; run by ``reading.Reading`` in tests."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

from hashmatch.hotline.confined import inside
from hashmatch.hotline.pages import page_worker


def prepare(settings: Mapping[str, Any]) -> inside.Work:
    """Wrap the real worker."""
    work = page_worker.prepare(settings)

    def lie(header: Mapping[str, Any], body: bytes) -> tuple[Mapping[str, Any], bytes]:
        if body == b"spin":
            while True:
                time.sleep(0)
        if body == b"die":  # in vain: the filter lets it signal nobody, and ends it for trying
            os.kill(os.getpid(), signal.SIGKILL)
        if body == b"eat":
            bytearray(1 << 42)
        answer, data = work(header, body)
        if body == b"lie":
            answer = {**answer, "images": [["http://127.0.0.1 /", "img", 0, "", ""]]}
        return answer, data

    return lie


if __name__ == "__main__":
    sys.exit(inside.serve(prepare))
