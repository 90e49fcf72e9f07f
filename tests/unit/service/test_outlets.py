"""Outlets are made when the service starts, each by its kind."""

from __future__ import annotations

from typing import Any

import pytest

from hashmatch.config import OutboxConfig, OutletConfig
from hashmatch.errors import BadConfig
from hashmatch.model.cases import OutletKind
from hashmatch.outbox.mail import MailOutlet
from hashmatch.service.outlets import MAKERS, lines


def test_every_kind_has_a_row() -> None:
    assert set(MAKERS) == set(OutletKind)


def test_mail_is_made_with_or_without_credentials() -> None:
    def made(credentials: str, environ: dict[str, str]) -> object:
        post = OutletConfig(
            kind="mail",
            environment="production",
            url="smtps://mail.pictures.example:465",
            sender="reports@pictures.example",
            credentials=credentials,
        )
        return lines(OutboxConfig(outlets={"post": post}), environ)["post"].outlet

    assert isinstance(made("", {}), MailOutlet)
    assert isinstance(made("env:M", {"M_USERNAME": "u", "M_PASSWORD": "p"}), MailOutlet)
    with pytest.raises(BadConfig) as refused:
        made("env:M", {"M_USERNAME": "u"})
    assert refused.value.message == (
        "outbox.outlets.post.credentials: username alone; both username and password or neither"
    )


@pytest.mark.parametrize(
    ("name", "outlet", "field", "message"),
    [
        ("a b", {"kind": "folder"}, "outbox.outlets.a b", "an outlet's name has at most 64 letters, digits, and . _ -"),
        ("x", {"kind": "pigeon"}, "outbox.outlets.x.kind", "expected one of cybertipline, dsa-database, mail, webhook"),
        ("x", {"kind": "folder", "environment": "prod"}, "outbox.outlets.x.environment", "expected test or production"),
        (
            "x",
            {"kind": "folder", "url": "/srv/out"},
            "outbox.outlets.x.url",
            "expected file:///path, got '/srv/out'",
        ),
        (
            "x",
            {"kind": "cybertipline", "environment": "test", "url": "https://report.cybertip.org/ispws"},
            "outbox.outlets.x.url",
            "report.cybertip.org is a production host, and outbox.outlets.x.environment says test",
        ),
    ],
)
def test_what_is_wrong_with_an_outlet_is_named(name: str, outlet: dict[str, str], field: str, message: str) -> None:
    credentials = "env:TIP" if "tip" in outlet["kind"] else ""
    values: dict[str, Any] = {"environment": "test", "credentials": credentials, **outlet}
    environ = {"TIP_USERNAME": "provider", "TIP_PASSWORD": "secret word"}
    with pytest.raises(BadConfig) as caught:
        lines(OutboxConfig(outlets={name: OutletConfig(**values)}), environ)
    assert caught.value.field == field
    assert message in caught.value.message
