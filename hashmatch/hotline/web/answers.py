"""What the head of an answer means: a table from status and headers to an outcome.

Theory of operation
-------------------
Signs of a challenge are looked for first, because they come with every status, 200 included. Then the status decides.
A redirect that ends at a page to log in is told by its path, in the words that the common systems use.

What this module deliberately does not do: it does not look at bodies. Whether a page is a login form or a challenge by
its content, ``page`` says.

Source
------
RFC 9110 §15, RFC 7725 (451); Cloudflare's ``cf-mitigated``, AWS WAF's ``x-amzn-waf-action`` and what others document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hashmatch.model.hotline import Outcome
from hashmatch.patience import epoch, retry_after_s

Headers = Sequence[tuple[str, str]]

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = 200
_ANY_ERROR = range(400, 600)
_EVERY = range(1000)


@dataclass(frozen=True, slots=True)
class _Sign:
    """A header that a challenge comes with."""

    header: str
    value: str
    statuses: range


_CHALLENGES = (
    _Sign("cf-mitigated", "challenge", _EVERY),
    _Sign("x-amzn-waf-action", "challenge|captcha", _EVERY),
    _Sign("x-datadome", ".*", _ANY_ERROR),
    _Sign("x-dd-b", ".*", _ANY_ERROR),
    _Sign("server", "ddos-guard", range(403, 404)),
    _Sign("x-px-block|x-px-captcha", ".*", _ANY_ERROR),
    _Sign("x-vercel-mitigated", "challenge", _EVERY),
)

_STATUSES: Mapping[int, tuple[Outcome, str]] = {
    401: (Outcome.LOGIN_REQUIRED, "401: it wants credentials"),
    403: (Outcome.FORBIDDEN, "403: the host refuses without a reason"),
    404: (Outcome.GONE, "404: not found"),
    410: (Outcome.GONE, "410: gone for good"),
    451: (Outcome.BLOCKED_451, "451: unavailable for legal reasons"),
}

_LOGIN_PATH = re.compile(
    r"/(?:log-?in|sign-?in|log_in|sign_in|wp-login\.php|login\.(?:php|aspx?|jsp|html?)|sso|oauth2?/authorize|"
    r"accounts?/login|users?/sign_in|auth(?:/login)?)(?:/|\?|$)",
    re.IGNORECASE,
)


def value(headers: Headers, name: str) -> str:
    """Return the first header of a name, empty where there is none."""
    return next((text for key, text in headers if key.lower() == name), "")


def values(headers: Headers, name: str) -> str:
    """Return all headers of a name as the one list that they are (RFC 9110 §5.3)."""
    return ", ".join(text for key, text in headers if key.lower() == name)


def classify(status: int, headers: Headers) -> tuple[Outcome, str] | None:
    """Say what an answer means whose status is no redirect.

    Returns
    -------
    tuple or None
        Outcome and one sentence about it; None: its body is what was asked for.

    """
    if any(_shows(sign, status, headers) for sign in _CHALLENGES):
        return Outcome.CHALLENGE, f"{status} with a challenge for people"
    if status == _OK:
        return None
    if value(headers, "www-authenticate") and status in {401, 403}:
        return Outcome.LOGIN_REQUIRED, f"{status}: it wants credentials"
    if status in _STATUSES:
        return _STATUSES[status]
    if status in REDIRECTS:
        return Outcome.HTTP_ERROR, f"{status} that leads nowhere"
    return Outcome.HTTP_ERROR, f"status {status}{_wait(headers)}"


def is_login(path: str) -> bool:
    """Whether a path, with its query, is one that people log in at."""
    return _LOGIN_PATH.search(path) is not None


def _shows(sign: _Sign, status: int, headers: Headers) -> bool:
    return status in sign.statuses and any(
        re.fullmatch(sign.header, name, re.IGNORECASE) and re.fullmatch(sign.value, text.strip(), re.IGNORECASE)
        for name, text in headers
    )


def _wait(headers: Headers) -> str:
    seconds = retry_after_s(value(headers, "retry-after"), epoch(value(headers, "date")))
    return "" if seconds is None else f", to be asked again after {seconds:.0f} s"
