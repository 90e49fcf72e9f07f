"""The confined process that reads pages; ``python -m hashmatch.hotline.pages.page_worker`` is started by ``reading``.

What this module deliberately does not do: nobody imports it. The parsers that it loads are in its process only.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from hashmatch.hotline.confined import inside
from hashmatch.hotline.pages import charset, page, page_wire

_WARM_UP = (
    b"<!doctype html><title>a</title><style>a{background:url(a.png)}</style><img srcset='b.png 2x' src=c.png>"
    b"<script type=application/ld+json>{}</script><img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>"
    b"<meta charset=windows-1251><img src='//xn--bcher-kva.example/\xe4?\xe4'><img src='http://b\xfccher.example/'>"
)


def prepare(settings: Mapping[str, Any]) -> inside.Work:
    """Load everything that reading a page may ever load, and return what reads one."""
    mine = page_wire.Settings.from_json(settings)

    def work(header: Mapping[str, Any], body: bytes) -> tuple[Mapping[str, Any], bytes]:
        found = page.read(
            body, url=header["url"], content_type=header["content_type"], limits=mine.limits, rules=mine.rules
        )
        return page_wire.encode(found)

    url = f"http://example.org:{mine.rules.ports[0]}/"
    for content_type in ("text/html", "text/html; charset=utf-8", "text/css", "text/html; charset=gb18030"):
        work({"url": url, "content_type": content_type}, _WARM_UP)
    charset.load()
    return work


if __name__ == "__main__":
    sys.exit(inside.serve(prepare))
