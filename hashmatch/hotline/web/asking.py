"""What a request says: the headers that every fetch sends, and evidence repeats.

What this module deliberately does not do: no cookie, no credential and no language is ever sent.
"""

from __future__ import annotations

from typing import Final

from hashmatch.hotline.web.coding import ACCEPTED

ACCEPT: Final = "text/html,application/xhtml+xml,image/*,*/*;q=0.5"


def headers_of(user_agent: str, referer: str = "") -> dict[str, str]:
    """Return the headers of a request, but for ``Host`` and ``Connection``, which the connection adds.

    Parameters
    ----------
    user_agent : str
        Who asks.
    referer : str
        The page, where the configuration has it told; else empty.

    """
    headers = {"User-Agent": user_agent, "Accept": ACCEPT, "Accept-Encoding": ACCEPTED}
    return {**headers, "Referer": referer} if referer else headers
