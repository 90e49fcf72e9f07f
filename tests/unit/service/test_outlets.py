"""Outlets are made when the service starts, each by its kind."""

from __future__ import annotations

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
