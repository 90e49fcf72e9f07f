"""The mail outlet's configuration: where it may be, who it may write to, and what servers call what they took."""

from __future__ import annotations

import ssl

import pytest

from hashmatch.errors import BadConfig
from hashmatch.outbox.mail import MailOutlet, _queue_id
from hashmatch.outbox.smtp import MAX_WORDS_CHARS, printable
from hashmatch.sections import OutboxConfig, OutletConfig

SENDER = "reports@pictures.example"
SHAPE = "expected smtp://host:port or smtps://host:port"


def outlet(
    url: str = "smtp://127.0.0.1:25",
    environment: str = "test",
    *,
    sender: str = SENDER,
    recipient: str = "",
    secrets: dict[str, str] | None = None,
) -> MailOutlet:
    config = OutletConfig(kind="mail", environment=environment, url=url, sender=sender, recipient=recipient)
    return MailOutlet("post", config, OutboxConfig(), secrets or {}, tls=ssl.create_default_context)


@pytest.mark.parametrize(
    ("url", "environment", "shown"),
    [
        ("smtp://127.0.0.1:25", "test", "<MailOutlet test: 127.0.0.1:25>"),
        ("smtp://[::1]:2525", "test", "<MailOutlet test: ::1:2525>"),
        ("smtps://localhost:465", "test", "<MailOutlet test: localhost:465>"),
        ("smtps://Mail.Pictures.Example.:465", "production", "<MailOutlet production: mail.pictures.example:465>"),
        ("smtp://mail.pictures.example:587", "production", "<MailOutlet production: mail.pictures.example:587>"),
    ],
)
def test_a_server_of_the_stated_world_is_taken(url: str, environment: str, shown: str) -> None:
    made = outlet(url, environment, secrets={"username": "u", "password": "hidden"})
    assert repr(made) == shown


@pytest.mark.parametrize(
    ("url", "environment", "message"),
    [
        ("https://127.0.0.1:25", "test", f"'https://127.0.0.1:25' is no address: {SHAPE}"),
        ("smtp://127.0.0.1", "test", f"'smtp://127.0.0.1' is no address: {SHAPE}"),
        ("smtp://:25", "test", f"'smtp://:25' is no address: {SHAPE}"),
        ("", "test", f"'' is no address: {SHAPE}"),
        ("smtp://h:99999", "test", "'smtp://h:99999' is no address: Port out of range 0-65535"),
        *(
            (url, "test", "an address of mail is smtp://host:port or smtps://host:port, no more")
            for url in ("smtp://u:p@127.0.0.1:25", "smtp://127.0.0.1:25/", "smtp://127.0.0.1:25?x=1", "smtp://h:25#x")
        ),
        (
            "smtp://127.0.0.1:25",
            "production",
            "127.0.0.1 is a test host, and outbox.outlets.post.environment says production; nothing was asked of it",
        ),
        (
            "smtps://mail.pictures.example:465",
            "test",
            "a test server of mail is on this machine, and mail.pictures.example is not; nothing was asked of it",
        ),
    ],
)
def test_a_server_of_the_other_world_or_no_server_is_refused(url: str, environment: str, message: str) -> None:
    with pytest.raises(BadConfig) as refused:
        outlet(url, environment)
    assert refused.value.message == f"outbox.outlets.post.url: {message}"
    assert refused.value.field == "outbox.outlets.post.url"


@pytest.mark.parametrize("sender", ["", "reports", "Reports <reports@pictures.example>", "a@b.example\r\nX: y"])
def test_a_sender_is_needed(sender: str) -> None:
    with pytest.raises(BadConfig, match="is no mail address") as refused:
        outlet(sender=sender)
    assert refused.value.field == "outbox.outlets.post.sender"


@pytest.mark.parametrize(
    "domain", ["example.org", "a.b.example.com", "EXAMPLE.NET", "x.example", "a.test", "b.invalid", "localhost"]
)
def test_a_test_goes_to_nobody(domain: str) -> None:
    outlet(recipient=f"abuse@{domain}")


@pytest.mark.parametrize("domain", ["hoster.nl", "notexample.org", "example.org.nl", "example.co", "org", "testing"])
def test_a_test_goes_to_nobody_else(domain: str) -> None:
    with pytest.raises(BadConfig) as refused:
        outlet(recipient=f"abuse@{domain}")
    assert refused.value.message == (
        "outbox.outlets.post.recipient: a test goes to nobody: to example.org or a name that ends in .example, .test "
        f"or .invalid, not {domain}"
    )
    assert refused.value.field == "outbox.outlets.post.recipient"
    outlet("smtps://mail.pictures.example:465", "production", recipient=f"abuse@{domain}")


@pytest.mark.parametrize("name", ["username", "password"])
def test_half_of_the_credentials_is_refused(name: str) -> None:
    with pytest.raises(BadConfig) as refused:
        outlet(secrets={name: "x"})
    assert refused.value.message == (
        f"outbox.outlets.post.credentials: {name} alone; both username and password or neither"
    )


@pytest.mark.parametrize(
    ("words", "identity"),
    [
        ("2.0.0 Ok: queued as 4Zz1Yx2Wv3", "4Zz1Yx2Wv3"),
        ("OK id=1rXyZ2-0004Qq-AB", "1rXyZ2-0004Qq-AB"),
        ("2.6.0 <x@y.example> [InternalId=123456, Hostname=mx.example] Queued mail for delivery", "123456"),
        ("2.0.0 4AS9Ufk1003221 Message accepted for delivery", "4AS9Ufk1003221"),
        ("2.0.0 OK  1795858200 a1b2c3 - gsmtp", ""),
        ("OK", ""),
        ("", ""),
    ],
)
def test_the_number_that_a_server_gives(words: str, identity: str) -> None:
    assert _queue_id(words) == identity


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a\r\nb\tc", "a b c"),
        ("\x1b[31mred\udcff", "[31mred"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 199 + "…"),
        ("\n" * 10_000 + "x", ""),
    ],
)
def test_what_a_server_says_is_one_printable_line(words: str, shown: str) -> None:
    assert printable(words) == shown
    assert len(shown) <= MAX_WORDS_CHARS
