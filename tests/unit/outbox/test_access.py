"""What an outlet is let in with, and where it may be: secrets and addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from hashmatch import addresses
from hashmatch.errors import BadConfig
from hashmatch.model.cases import OutletKind
from hashmatch.outbox import secrets

HOSTS = {"report.example.org": addresses.PRODUCTION, "try.example.org": addresses.TEST}


def test_secrets_come_from_variables_and_are_not_shown() -> None:
    environ = {"CT_USERNAME": "ann", "CT_PASSWORD": "open sesame"}
    found = secrets.opened("ncmec", OutletKind.CYBERTIPLINE, "env:CT", environ)
    assert dict(found) == {"username": "ann", "password": "open sesame"}
    assert len(found) == 2
    assert repr(found) == "<Secrets of cybertipline: username, password>"
    assert secrets.basic(found) == "Basic YW5uOm9wZW4gc2VzYW1l"


def test_secrets_come_from_a_file_that_nobody_else_may_read(tmp_path: Path) -> None:
    path = tmp_path / "secrets.toml"
    path.write_text('secret = "s3"\nother = 1\n')
    path.chmod(0o600)
    assert dict(secrets.opened("hook", OutletKind.WEBHOOK, f"file:{path}", {})) == {"secret": "s3"}
    path.chmod(0o604)
    with pytest.raises(BadConfig, match=r"others may read .*mode 0604.*chmod 600") as caught:
        secrets.opened("hook", OutletKind.WEBHOOK, f"file:{path}", {})
    assert caught.value.field == "outbox.outlets.hook.credentials"


def test_mail_can_do_without_secrets_and_a_folder_takes_none() -> None:
    assert repr(secrets.opened("post", OutletKind.MAIL, "", {})) == "<Secrets of mail: none>"
    assert dict(secrets.opened("post", OutletKind.MAIL, "env:M", {"M_USERNAME": "ann"})) == {"username": "ann"}
    assert dict(secrets.opened("box", OutletKind.FOLDER, "", {})) == {}
    with pytest.raises(BadConfig, match="an outlet of kind folder takes no credentials"):
        secrets.opened("box", OutletKind.FOLDER, "env:X", {})


@pytest.mark.parametrize(
    ("credentials", "environ", "message"),
    [
        ("", {}, "expected env:PREFIX, for variables such as PREFIX_USERNAME"),
        ("plain", {}, "expected env:PREFIX"),
        ("env:CT", {"CT_USERNAME": "ann"}, "not set: CT_PASSWORD"),
        ("env:CT", {"CT_USERNAME": "ann", "CT_PASSWORD": "a\nb"}, "CT_PASSWORD holds a line break"),
        ("file:/nowhere/at/all", {}, "No such file"),
    ],
)
def test_secrets_that_are_not_there_are_named(credentials: str, environ: dict[str, str], message: str) -> None:
    with pytest.raises(BadConfig, match=message) as caught:
        secrets.opened("ncmec", OutletKind.CYBERTIPLINE, credentials, environ)
    assert caught.value.field == "outbox.outlets.ncmec.credentials"


@pytest.mark.parametrize(
    ("url", "environment", "message"),
    [
        (
            "https://report.example.org./ispws",
            "test",
            "report.example.org is a production host, and x.envir",
        ),
        ("https://TRY.example.org", "production", "try.example.org is a test host"),
        ("http://[::1]:80", "production", "::1 is a test host"),
        ("http://127.8.8.8", "production", "127.8.8.8 is a test host"),
        ("http://report.example.org", "production", "must be reached over TLS"),
        ("https://a:b@report.example.org", "production", "holds no credentials"),
        ("file:///etc/passwd", "test", "is no address"),
        ("https://host:99999", "test", "is no address"),
    ],
)
def test_an_address_of_another_environment_or_shape_is_refused(url: str, environment: str, message: str) -> None:
    with pytest.raises(BadConfig, match=message) as caught:
        addresses.check_environment("x.url", addresses.parsed("x.url", url), environment, HOSTS)
    assert caught.value.field == "x.url"


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("https://report.example.org/ispws", "production"),
        ("https://try.example.org/ispws", "test"),
        ("http://localhost:8080", "test"),
        ("https://unknown.example.org", "production"),
        ("https://unknown.example.org", "test"),
    ],
)
def test_an_address_of_the_stated_environment_is_taken(url: str, environment: str) -> None:
    addresses.check_environment("x.url", addresses.parsed("x.url", url), environment, HOSTS)
