from __future__ import annotations

import pytest

from hashmatch.hotline.web import answers
from hashmatch.hotline.web.answers import classify, is_login
from hashmatch.model.hotline import Outcome


@pytest.mark.parametrize("status", [status for status in range(100, 600) if status != 200])
def test_only_200_is_a_body(status: int) -> None:
    judged = classify(status, ())
    assert judged is not None
    assert judged[0] in {
        Outcome.GONE,
        Outcome.FORBIDDEN,
        Outcome.LOGIN_REQUIRED,
        Outcome.BLOCKED_451,
        Outcome.HTTP_ERROR,
    }
    assert str(status) in judged[1]


def test_200_is() -> None:
    assert classify(200, (("Content-Type", "text/html"),)) is None


CHALLENGES = [
    (403, "cf-mitigated", "challenge"), (200, "CF-Mitigated", " Challenge "), (405, "x-amzn-waf-action", "captcha"),
    (202, "x-amzn-waf-action", "challenge"), (403, "x-datadome", "protected"), (403, "server", "ddos-guard"),
    (429, "x-vercel-mitigated", "challenge"), (403, "x-px-block", "1"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "name", "text"), CHALLENGES)
def test_challenges(status: int, name: str, text: str) -> None:
    assert classify(status, ((name, text),)) == (Outcome.CHALLENGE, f"{status} with a challenge for people")


@pytest.mark.parametrize(
    ("status", "name", "text"),
    [
        (200, "x-datadome", "protected"),
        (200, "server", "ddos-guard"),
        (200, "cf-mitigated", ""),
        (200, "server", "cloudflare"),
    ],
)
def test_what_also_comes_with_good_answers_is_no_challenge(status: int, name: str, text: str) -> None:
    assert classify(status, ((name, text),)) is None


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ((("Retry-After", "120"),), "status 503, to be asked again after 120 s"),
        (
            (("Retry-After", "Wed, 21 Oct 2026 07:29:00 GMT"), ("Date", "Wed, 21 Oct 2026 07:28:00 GMT")),
            "status 503, to be asked again after 60 s",
        ),
        ((("Retry-After", "Wed, 21 Oct 2026 07:29:00 GMT"),), "status 503"),
        ((("Retry-After", "soon <script>"),), "status 503"),
    ],
)
def test_when_to_ask_again(headers: answers.Headers, detail: str) -> None:
    assert classify(503, headers) == (Outcome.HTTP_ERROR, detail)


@pytest.mark.parametrize(
    "path",
    ["/login", "/Login?next=/x", "/user/sign_in", "/users/sign_in/", "/wp-login.php?redirect_to=x", "/accounts/login/",
     "/log-in", "/signin", "/en/login.html", "/oauth2/authorize?x", "/auth", "/sso"],
)  # fmt: skip
def test_pages_to_log_in(path: str) -> None:
    assert is_login(path)


@pytest.mark.parametrize(
    "path", ["/", "/catalogin", "/login-tips.jpg", "/blog/signing", "/authors", "/x?login=1", "/passo"]
)
def test_other_pages(path: str) -> None:
    assert not is_login(path)
