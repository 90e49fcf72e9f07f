"""How a page shows that it wants a login, or proof of a person, before it shows anything (pure).

Theory of operation
-------------------
Two tables. A *challenge* is what only the page in between has. A *widget* stands in ordinary forms too, so it counts
only on a page that refers to nothing else.

What this module deliberately does not do: it reads no text for people, in which language ever.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping


class Mark(enum.Enum):
    """What an element gives away."""

    NONE = enum.auto()
    CHALLENGE = enum.auto()
    WIDGET = enum.auto()


_SCRIPTS = (
    "_cf_chl_opt",
    "/cdn-cgi/challenge-platform/h/",
    "window.gokuProps",
    "_Incapsula_Resource?SWKMTFSR",
    "window._pxAppId=",
)
"""Cloudflare's interstitial page and its orchestrator (developers.cloudflare.com/cloudflare-challenges), AWS WAF's
(docs.aws.amazon.com/waf, "How the challenge and CAPTCHA actions work"), Imperva's and HUMAN's."""
_ADDRESSES = re.compile(
    r"geo\.captcha-delivery\.com/|/\.well-known/ddos-guard/|/\.within\.website/x/cmd/anubis/|\.token\.awswaf\.com/|"
    r"/_Incapsula_Resource\?|/_sec/cp_challenge/|captcha\.px-cdn\.net/",
    re.IGNORECASE,
)
"""DataDome, DDoS-Guard, Anubis (anubis.techaro.lol/docs), AWS WAF, Imperva, Akamai and HUMAN: addresses of scripts and
frames that their pages in between load."""
_IDS = frozenset({"challenge-form", "challenge-running", "challenge-error-text", "px-captcha", "anubis_challenge"})
_WIDGETS = frozenset({"g-recaptcha", "h-captcha", "cf-turnstile", "frc-captcha", "mtcaptcha", "altcha"})
"""Classes by which sites place the widget: developers.google.com/recaptcha, docs.hcaptcha.com,
developers.cloudflare.com/turnstile, docs.friendlycaptcha.com, docs.mtcaptcha.com, altcha.org/docs."""
_PASSWORD_COMPLETION = frozenset({"current-password", "new-password"})


def of_element(attributes: Mapping[str, str | None]) -> Mark:
    """Tell what the attributes of an element give away."""
    if not attributes:
        return Mark.NONE
    if attributes.get("id") in _IDS:
        return Mark.CHALLENGE
    for name in ("src", "href", "action"):
        address = attributes.get(name)
        if address and _ADDRESSES.search(address):
            return Mark.CHALLENGE
    classes = attributes.get("class")
    return Mark.WIDGET if classes and not _WIDGETS.isdisjoint(classes.split()) else Mark.NONE


def in_script(text: str) -> bool:
    """Tell whether an inline script is that of a challenge."""
    return any(marker in text for marker in _SCRIPTS)


def is_password(attributes: Mapping[str, str | None]) -> bool:
    """Tell whether an ``input`` takes a password (HTML, 4.10.5.1.6 and 4.10.18.7.1)."""
    completion = (attributes.get("autocomplete") or "").lower().split()
    return (attributes.get("type") or "").strip().lower() == "password" or not _PASSWORD_COMPLETION.isdisjoint(
        completion
    )
