"""How a source is told who is asking: its secrets, and the headers made of them.

Theory of operation
-------------------
A source's ``credentials`` say where its secrets are (``hashmatch.credentials``). :data:`SECRETS` lists what each kind
needs. An :class:`Access` turns them into headers; where the source wants a login first (TAT), it also says how to log
in, and takes the token out of the answer.

What this module deliberately does not do: it sends nothing, and no secret is in a ``repr``, an address or a message.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from hashmatch.credentials import read as secrets_of
from hashmatch.errors import SourceRefused
from hashmatch.sync.walks import Answer, Request

SECRETS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "ncmec": ("username", "password"),
        "threatexchange": ("access_token",),
        "stopncii": ("functions_key", "subscription_key"),
        "tat": ("username", "password"),
    }
)
"""Kind of source to the secrets that it needs, in the order of their use."""

OPTIONAL: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"stopncii": ("feedback_functions_key",)})
"""Kind of source to secrets that it can do without: StopNCII has a key per function, and feedback is one."""

LOGIN_PATH: Final = "token-auth/tcap/"
FEEDBACK_PATH: Final = "SubmitFeedback"


class Access:
    """Headers of every request to one source."""

    def __init__(self, kind: str, secrets: Mapping[str, str]) -> None:
        self._kind = kind
        self._secrets = dict(secrets)
        self._token = ""

    def __repr__(self) -> str:
        return f"<Access {self._kind}: {', '.join(self._secrets) or 'no secrets'}>"

    def headers(self, path: str) -> Mapping[str, str]:
        """Return what goes along with a request to a path."""
        secrets = self._secrets
        match self._kind:
            case "ncmec":
                pair = f"{secrets['username']}:{secrets['password']}".encode()
                return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
            case "threatexchange":
                return {"Authorization": f"Bearer {secrets['access_token']}"}
            case "stopncii":
                fetching = secrets["functions_key"]
                feedback = secrets.get("feedback_functions_key", fetching)
                return {
                    "x-functions-key": feedback if path == FEEDBACK_PATH else fetching,
                    "Ocp-Apim-Subscription-Key": secrets["subscription_key"],
                }
            case "tat":
                return {"Authorization": f"Bearer {self._token}"} if self._token else {}
        return {}

    def login(self) -> Request | None:
        """Return how to log in, where that must come first and has not yet; None otherwise."""
        if self._kind != "tat" or self._token:
            return None
        body = json.dumps({name: self._secrets[name] for name in ("username", "password")}).encode()
        return Request(LOGIN_PATH, method="POST", body=body, content_type="application/json")

    def logged_in(self, answer: Answer) -> None:
        """Take the token out of a login's answer.

        Raises
        ------
        SourceRefused
            There is none.

        """
        try:
            token = json.loads(answer.body)["token"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise SourceRefused("the login's answer holds no token") from error
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise SourceRefused("the login's answer holds no token")
        self._token = token

    def renew(self) -> bool:
        """Forget a token that was refused; return whether there was one, so that logging in again may help."""
        had, self._token = bool(self._token), ""
        return had


def opened(name: str, kind: str, credentials: str, environ: Mapping[str, str]) -> Access:
    """Read a source's secrets.

    Raises
    ------
    BadConfig
        They are not where the configuration says, or others may read them.

    """
    found = secrets_of(
        f"sync.sources.{name}.credentials",
        credentials,
        environ,
        wanted=SECRETS[kind],
        optional=OPTIONAL.get(kind, ()),
    )
    return Access(kind, found)
