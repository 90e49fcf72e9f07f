"""What is decided without I/O: waits, endpoints, credentials, the sources of a configuration."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from hashmatch.errors import BadConfig, SourceRefused
from hashmatch.patience import Patience, epoch, retry_after_s
from hashmatch.sections import SourceConfig, SyncConfig
from hashmatch.sync import access, endpoints
from hashmatch.sync.sources import chosen
from hashmatch.sync.walks import Answer

# --- waits -------------------------------------------------------------------------------------------------------


def most(_: float, bound: float) -> float:
    return bound


def test_waits_double_up_to_the_longest_and_end_with_the_tries() -> None:
    patience = Patience(tries=5, first_wait_s=1, longest_wait_s=3)
    assert [patience.wait_s(attempt, None, uniform=most) for attempt in range(1, 6)] == [1, 2, 3, 3, None]


def test_what_the_server_asks_for_is_a_lower_bound_and_too_much_of_it_is_the_end() -> None:
    patience = Patience(longest_retry_after_s=60)
    assert patience.wait_s(1, 60, uniform=lambda low, _: low) == 60
    assert patience.wait_s(1, 61) is None


@pytest.mark.parametrize(
    ("text", "served_at", "seconds"),
    [
        ("7", None, 7.0),
        (" 120 ", None, 120.0),
        ("Wed, 01 Jan 2025 00:00:30 GMT", 1_735_689_600, 30.0),
        ("Wed, 01 Jan 2025 00:00:30 GMT", 1_735_690_000, 0.0),
        ("Wed, 01 Jan 2025 00:00:30 GMT", None, None),
        ("-1", 1, None),
        ("soon", 1, None),
        ("", 1, None),
        (None, 1, None),
    ],
)
def test_retry_after_is_measured_by_the_servers_own_date(
    text: str | None, served_at: int | None, seconds: float | None
) -> None:
    assert retry_after_s(text, served_at) == seconds


def test_a_date_that_is_none_is_none() -> None:
    assert epoch("Wed, 01 Jan 2025 00:00:00 GMT") == 1_735_689_600
    assert [epoch(text) for text in (None, "", "yesterday", "Wed, 99 Jan 2025 00:00:00 GMT")] == [None] * 4


# --- endpoints ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "url", "environment"),
    [
        ("ncmec", "https://report.cybertip.org/hashsharing", "production"),
        ("ncmec", "https://exttest.cybertip.org/hashsharing", "test"),
        ("ncmec", "http://127.0.0.1:8080/hashsharing", "test"),
        ("tat", "http://[::1]:8080", "test"),
        ("tat", "https://exchange.example.org", "production"),
        ("tat", "https://exchange.example.org", "test"),
    ],
)
def test_an_address_of_the_stated_environment_is_taken(kind: str, url: str, environment: str) -> None:
    assert endpoints.check("far", kind, url, environment).geturl() == url


@pytest.mark.parametrize(
    ("kind", "url", "environment", "message"),
    [
        ("ncmec", "https://report.cybertip.org/hashsharing", "test", "is a production host"),
        ("ncmec", "https://exttest.cybertip.org/hashsharing", "production", "is a test host"),
        ("ncmec", "https://EXTTEST.cybertip.org/hashsharing", "production", "is a test host"),
        ("ncmec", "http://localhost/hashsharing", "production", "is a test host"),
        ("ncmec", "https://api.stopncii.org/v1", "production", "is of kind stopncii"),
        ("ncmec", "http://exchange.example.org", "test", "over TLS"),
        ("ncmec", "ftp://exchange.example.org", "test", "is no address"),
        ("ncmec", "https://", "test", "is no address"),
        ("ncmec", "https://[", "test", "is no address"),
        ("ncmec", "https://me:secret@exchange.example.org", "test", "holds no credentials"),
        ("ncmec", "https://exchange.example.org/?token=x", "test", "holds no credentials"),
    ],
)
def test_an_address_of_another_environment_is_refused(kind: str, url: str, environment: str, message: str) -> None:
    with pytest.raises(BadConfig, match=message) as caught:
        endpoints.check("far", kind, url, environment)
    assert caught.value.field == "sync.sources.far.url"


# --- credentials -------------------------------------------------------------------------------------------------


def test_secrets_come_from_variables_and_go_into_headers_only() -> None:
    found = access.opened("far", "ncmec", "env:NC", {"NC_USERNAME": "ann", "NC_PASSWORD": "open sesame"})
    pair = base64.b64encode(b"ann:open sesame").decode()
    assert found.headers("v2/entries") == {"Authorization": f"Basic {pair}"}
    assert found.login() is None
    assert "sesame" not in repr(found)


def test_stopncii_has_a_key_per_function_and_feedback_is_one() -> None:
    keys = {"S_FUNCTIONS_KEY": "fetch", "S_SUBSCRIPTION_KEY": "sub"}
    plain = access.opened("far", "stopncii", "env:S", keys)
    assert plain.headers("SubmitFeedback")["x-functions-key"] == "fetch"
    both = access.opened("far", "stopncii", "env:S", {**keys, "S_FEEDBACK_FUNCTIONS_KEY": "feedback"})
    assert both.headers("SubmitFeedback")["x-functions-key"] == "feedback"
    assert both.headers("FetchHashes") == {"x-functions-key": "fetch", "Ocp-Apim-Subscription-Key": "sub"}


def test_secrets_come_from_a_file_that_nobody_else_may_read(tmp_path: Path) -> None:
    path = tmp_path / "secrets.toml"
    path.write_text('access_token = "1|t"\n')
    path.chmod(0o600)
    found = access.opened("far", "threatexchange", f"file:{path}", {})
    assert found.headers("x") == {"Authorization": "Bearer 1|t"}
    path.chmod(0o640)
    with pytest.raises(BadConfig, match=r"others may read .*mode 0640.*chmod 600"):
        access.opened("far", "threatexchange", f"file:{path}", {})


@pytest.mark.parametrize(
    ("credentials", "environ", "message"),
    [
        ("env:NC", {"NC_USERNAME": "zoe"}, "not set: NC_PASSWORD"),
        ("env:NC", {"NC_USERNAME": "zoe", "NC_PASSWORD": "a\r\nb"}, "line break or control character"),
        ("secret", {}, "expected env:PREFIX"),
        ("env:", {}, "expected env:PREFIX"),
        ("file:/nowhere/at/all", {}, "No such file"),
    ],
)
def test_secrets_that_are_not_there_are_named_and_not_shown(
    credentials: str, environ: dict[str, str], message: str
) -> None:
    with pytest.raises(BadConfig, match=message) as caught:
        access.opened("far", "ncmec", credentials, environ)
    assert "zoe" not in caught.value.message


def test_a_login_gives_a_token_which_can_be_renewed() -> None:
    found = access.opened("far", "tat", "env:T", {"T_USERNAME": "ann", "T_PASSWORD": "pw"})
    login = found.login()
    assert login is not None
    assert (login.method, login.path, "pw" in repr(login)) == ("POST", "token-auth/tcap/", False)
    assert found.headers("x") == {}
    found.logged_in(Answer(b'{"token": "a.b.c"}'))
    assert (found.login(), found.headers("x")) == (None, {"Authorization": "Bearer a.b.c"})
    assert (found.renew(), found.renew()) == (True, False)
    for body in (b"{}", b"[]", b"x", b'{"token": "a\\nb"}', b'{"token": 5}'):
        with pytest.raises(SourceRefused, match="holds no token"):
            found.logged_in(Answer(body))


# --- sources -----------------------------------------------------------------------------------------------------

GOOD = {"kind": "tat", "url": "http://127.0.0.1:1", "environment": "test", "set": "a", "domain": "tvec"}


def test_sources_are_chosen_by_name_or_all() -> None:
    config = SyncConfig(sources={"one": SourceConfig(**GOOD), "two": SourceConfig(**{**GOOD, "set": "b"})})  # type: ignore[arg-type]
    assert [source.name for source in chosen(config, ())] == ["one", "two"]
    assert [source.name for source in chosen(config, ["two", "two"])] == ["two"]
    with pytest.raises(BadConfig, match="no source 'three' in the configuration; there are: one, two"):
        chosen(config, ["three"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "hma"}, "far.kind: expected one of ncmec"),
        ({"environment": ""}, "far.environment: expected one of test, production"),
        ({"domain": "x"}, "far.domain: expected one of csam"),
        ({"set": ""}, "far.set: required"),
        ({"kind": "threatexchange"}, "far.group: required"),
        ({"kind": "threatexchange", "group": "../x"}, "is no id of a privacy group"),
    ],
)
def test_a_source_that_is_not_as_it_must_be_is_refused(changes: dict[str, str], message: str) -> None:
    config = SyncConfig(sources={"far": SourceConfig(**{**GOOD, **changes})})  # type: ignore[arg-type]
    with pytest.raises(BadConfig, match=message):
        chosen(config, ())


def test_two_sources_cannot_feed_one_set_and_a_name_is_one_word() -> None:
    twice = SyncConfig(sources={"one": SourceConfig(**GOOD), "two": SourceConfig(**GOOD)})  # type: ignore[arg-type]
    with pytest.raises(BadConfig, match=r"two.set: 'a' is fed by one already"):
        chosen(twice, ())
    with pytest.raises(BadConfig, match="lower-case letters"):
        chosen(SyncConfig(sources={"A b": SourceConfig(**GOOD)}), ())  # type: ignore[arg-type]
