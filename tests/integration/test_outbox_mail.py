"""Reports by mail against a real SMTP server: every way in which a message can end."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from hashmatch.model.cases import Document, Environment
from hashmatch.outbox import smtp
from hashmatch.outbox.mail import MailOutlet
from hashmatch.outbox.mail_message import message, message_id
from hashmatch.outbox.parcels import Again, Delivered, Outcome, Parcel, Progress, Refused, Unsure
from hashmatch.sections import OutboxConfig, OutletConfig
from tests.support.cases import NOW
from tests.support.clock import LATE_S
from tests.support.receivers.smtp import PASSWORD, USERNAME, Authority, MailServer, authority

SENDER, RECIPIENT = "reports@pictures.example", "abuse@hoster.example"
REPORT_ID = "7b0c2d7e-0000-4000-8000-000000000001"
BODY = json.dumps({"xarf_version": "4.2.0", "report_id": REPORT_ID, "note": "é\n.dots\n"}, ensure_ascii=False).encode()
XARF = Document("xarf", "application/json", f"xarf-{REPORT_ID}.json", BODY)
PARCEL = Parcel("d-1", "case-1", "key-1", Environment.TEST, XARF, recipient=RECIPIENT)
CONFIG = OutboxConfig(timeout_s=LATE_S, connect_timeout_s=LATE_S)
BOTH = ("PLAIN", "LOGIN")
LOGIN = {"username": USERNAME, "password": PASSWORD}
WHOLE = "the message was sent whole, and then: "
ASK = "; whether it was taken cannot be asked: ask the recipient, then say confirm or retry"


@dataclass
class Post:
    """One delivery, and what is saved of it."""

    server: MailServer
    parcel: Parcel = PARCEL
    saves: list[Progress] = field(default_factory=list)

    async def save(self, progress: Progress) -> None:
        """Keep it."""
        self.saves.append(dict(progress))
        self.parcel = replace(self.parcel, progress=dict(progress))

    async def deliver(
        self,
        secrets: dict[str, str] | None = None,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        config: OutboxConfig = CONFIG,
        sender: str = SENDER,
    ) -> Outcome:
        """Try once, as a process that was just started."""
        outlet = OutletConfig(kind="mail", environment="test", url=self.server.url, sender=sender)
        made = MailOutlet("post", outlet, config, secrets or {}, tls=tls, now=lambda: NOW)
        try:
            return await made.deliver(self.parcel, self.save)
        finally:
            await made.close()


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with MailServer() as server:
        yield Post(server)


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("tls"))


async def test_a_message_arrives_byte_by_byte(post: Post) -> None:
    assert await post.deliver() == Delivered("4Zz1Yx2Wv3", "127.0.0.1: 250 2.0.0 Ok: queued as 4Zz1Yx2Wv3")
    (taken,) = post.server.taken
    assert (taken.sender, taken.recipients, taken.tls, taken.user) == (SENDER, (RECIPIENT,), False, "")
    assert taken.content == message(PARCEL, SENDER, NOW).as_bytes()
    assert f"SIZE={len(taken.content)}" in taken.options
    read = message_from_bytes(taken.content, policy=policy.default)
    (attachment,) = (part for part in read.walk() if part.get_filename() == "xarf.json")
    assert attachment.get_content() == BODY
    assert post.saves == [{"sent": "1"}]


async def test_lines_that_begin_with_a_dot_arrive_as_they_are(post: Post) -> None:
    text = b".\n..\n.x\nQUIT\n.\n"
    letter = Document(
        "letter", "text/html; charset=utf-8", f"letter-{REPORT_ID}.en.html", b"<p>.</p>\n.\n", (("text", text),)
    )
    post.parcel = replace(PARCEL, document=letter)
    assert isinstance(await post.deliver(), Delivered)
    read = message_from_bytes(post.server.taken[0].content, policy=policy.default)
    bodies = [part.get_content() for part in read.iter_parts()]
    assert [body.replace("\r\n", "\n") for body in bodies] == [text.decode(), "<p>.</p>\n.\n"]


@pytest.mark.parametrize("step", ["connect", "EHLO", "MAIL", "RCPT", "DATA", "answer"])
async def test_4yz_is_tried_again_and_5yz_is_not_at_every_step(post: Post, step: str) -> None:
    post.server.plan(step, "451 4.7.1 Greylisted, come back in 300 s")
    assert await post.deliver() == Again(f"127.0.0.1: {step}: 451 4.7.1 Greylisted, come back in 300 s")
    post.server.plan(step, "554 5.7.1 <abuse@hoster.example>: no\tthanks \x1b[31m")
    assert await post.deliver() == Refused(f"127.0.0.1: {step}: 554 5.7.1 <abuse@hoster.example>: no thanks [31m")
    assert (post.server.taken, post.parcel.progress) == ([], {})
    assert isinstance(await post.deliver(), Delivered)


async def test_what_a_server_says_is_cut_off(post: Post) -> None:
    post.server.plan("RCPT", "550 " + "x" * 480)
    assert await post.deliver() == Refused(f"127.0.0.1: RCPT: 550 {'x' * 199}…")


@pytest.mark.parametrize("step", ["EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(("what", "reason"), [("drop", "the connection broke"), ("slow", "no answer in time")])
async def test_what_breaks_before_the_message_is_tried_again(post: Post, step: str, what: str, reason: str) -> None:
    post.server.plan(step, what)
    assert await post.deliver() == Again(f"127.0.0.1: {step}: {reason}")
    assert (post.server.taken, post.saves) == ([], [])


@pytest.mark.parametrize(("what", "reason"), [("drop", "no connection"), ("slow", "no answer in time")])
async def test_no_greeting_is_tried_again(post: Post, what: str, reason: str) -> None:
    post.server.plan("connect", what)
    assert await post.deliver() == Again(f"127.0.0.1: connect: {reason}")


async def test_nobody_there_is_tried_again() -> None:
    async with MailServer() as other:
        gone = other
    assert await Post(gone).deliver() == Again("127.0.0.1: connect: no connection")


async def test_lost_before_the_dot_is_tried_again(post: Post) -> None:
    """So large that it cannot all be in a buffer on the way when the server hangs up."""
    large = replace(XARF, body=b'"' + b"x" * (24 << 20) + b'"')
    post.parcel = replace(PARCEL, document=large)
    post.server.plan("message", "drop")
    outcome = await post.deliver()
    assert outcome == Again("127.0.0.1: message: the connection broke")
    assert (post.server.taken, post.saves) == ([], [])


async def test_lost_between_the_note_and_the_dot_is_tried_again(post: Post) -> None:
    keep = post.save

    async def cut(progress: Progress) -> None:
        await keep(progress)
        post.server.cut()
        await asyncio.sleep(0.2)

    post.save = cut  # type: ignore[method-assign]
    assert await post.deliver() == Again("127.0.0.1: message: the connection broke")
    assert (post.server.taken, post.saves) == ([], [{"sent": "1"}, {}])


@pytest.mark.parametrize("what", ["drop", "slow", "421 4.3.2 Shutting down", "nonsense"])
async def test_how_the_goodbye_ends_changes_nothing(post: Post, what: str) -> None:
    post.server.plan("QUIT", what)
    assert isinstance(await post.deliver(), Delivered)
    assert post.server.commands[-1] == "QUIT"


@pytest.mark.parametrize(("what", "reason"), [("drop", "the connection broke"), ("slow", "no answer in time")])
async def test_lost_after_the_dot_is_unsure_and_never_sent_again_by_itself(post: Post, what: str, reason: str) -> None:
    post.server.plan("answer", what)
    assert await post.deliver() == Unsure(f"127.0.0.1: {WHOLE}{reason}{ASK}")
    assert post.parcel.progress == {"sent": "1"}
    post.parcel = replace(post.parcel, attempt=2)
    commands = len(post.server.commands)
    assert await post.deliver() == Unsure(
        "an earlier try ended while the message was being sent; ask the recipient, then say retry"
    )
    assert len(post.server.commands) == commands
    post.parcel = replace(post.parcel, attempt=1)  # what a person's retry counts from
    assert isinstance(await post.deliver(), Delivered)
    first, second = (message_from_bytes(taken.content)["Message-ID"] for taken in post.server.taken)
    assert first == second == message_id("key-1", SENDER)


@pytest.mark.parametrize("answer", ["999 what", "354 more", "nonsense"])
async def test_an_answer_to_the_dot_that_says_nothing_is_unsure(post: Post, answer: str) -> None:
    post.server.plan("answer", answer)
    told = "says what is not SMTP" if answer == "nonsense" else f"it answered {answer[:3]}"
    assert await post.deliver() == Unsure(f"127.0.0.1: {WHOLE}{told}{ASK}")


async def test_nonsense_before_the_message_is_tried_again(post: Post) -> None:
    post.server.plan("RCPT", "nonsense")
    assert await post.deliver() == Again("127.0.0.1: RCPT: says what is not SMTP")


async def test_where_it_cannot_be_noted_no_dot_is_sent(post: Post) -> None:
    class Full(Exception):
        pass

    async def full(progress: Progress) -> None:
        raise Full(progress)

    post.save = full  # type: ignore[method-assign]
    with pytest.raises(Full):
        await post.deliver()
    assert post.server.taken == []


async def test_starttls_with_a_certificate_that_is_trusted(signed: Authority) -> None:
    async with MailServer(starttls=signed) as server:
        assert isinstance(await Post(server).deliver(tls=signed.trusted), Delivered)
        assert [taken.tls for taken in server.taken] == [True]
        assert server.commands == ["connect", "EHLO", "EHLO", "MAIL", "RCPT", "DATA", "QUIT"]


async def test_tls_from_the_first_byte(signed: Authority) -> None:
    async with MailServer(implicit=signed, auth=BOTH) as server:
        assert isinstance(await Post(server).deliver(LOGIN, signed.trusted), Delivered)
        assert [(taken.tls, taken.user) for taken in server.taken] == [(True, USERNAME)]


@pytest.mark.parametrize("implicit", [True, False])
async def test_a_certificate_that_nobody_trusts_is_refused(signed: Authority, *, implicit: bool) -> None:
    given = {"implicit" if implicit else "starttls": signed}
    async with MailServer(**given) as server:  # type: ignore[arg-type]
        assert await Post(server).deliver() == Refused(
            "127.0.0.1: the certificate does not verify: unable to get local issuer certificate"
        )
        assert server.taken == []


@pytest.mark.parametrize(
    ("name", "expired", "reason"),
    [
        ("127.0.0.2", False, "IP address mismatch, certificate is not valid for '127.0.0.1'."),
        ("mail.example.org", False, "IP address mismatch, certificate is not valid for '127.0.0.1'."),
        ("127.0.0.1", True, "certificate has expired"),
    ],
)
async def test_a_certificate_of_another_or_of_yesterday_is_refused(
    tmp_path: Path, name: str, reason: str, *, expired: bool
) -> None:
    other = authority(tmp_path, name, expired=expired)
    async with MailServer(starttls=other) as server:
        refused = await Post(server).deliver(LOGIN, other.trusted)
        assert refused == Refused(f"127.0.0.1: the certificate does not verify: {reason}")
        assert "AUTH" not in server.commands


async def test_tls_to_a_server_that_has_none_is_refused() -> None:
    async with MailServer() as server:
        outlet = OutletConfig(kind="mail", environment="test", url=f"smtps://127.0.0.1:{server.port}", sender=SENDER)
        outcome = await MailOutlet("post", outlet, CONFIG, {}).deliver(PARCEL, Post(server).save)
        assert isinstance(outcome, Refused)
        assert outcome.reason.startswith("127.0.0.1: TLS failed (")


async def test_to_another_machine_nothing_is_sent_without_starttls(post: Post) -> None:
    server = smtp.Server(
        "127.0.0.1", post.server.port, smtp.Encryption.REQUIRED, LATE_S, LATE_S, ssl.create_default_context()
    )

    async def never() -> None:
        raise AssertionError

    ending = await smtp.send(server, (USERNAME, PASSWORD), smtp.Letter(SENDER, RECIPIENT, b"x\r\n"), never)
    assert ending == smtp.Unfit(
        smtp.Step.TLS, "offers no STARTTLS, and a report is sent to no other machine without TLS"
    )
    assert post.server.commands == ["connect", "EHLO", "QUIT"]


async def test_credentials_are_used_and_where_they_are_refused_named() -> None:
    async with MailServer(auth=BOTH) as server:
        post = Post(server)
        assert isinstance(await post.deliver(LOGIN), Delivered)
        assert server.taken[0].user == USERNAME
        assert await post.deliver(LOGIN | {"password": "wrong"}) == Refused(
            "127.0.0.1: AUTH: 535 5.7.8 Authentication credentials invalid; "
            "outbox.outlets.post.credentials were refused"
        )
        assert server.commands.count("AUTH") == 2
        assert await post.deliver() == Refused(
            "127.0.0.1: MAIL: 530 5.7.0 Authentication required; set outbox.outlets.post.credentials"
        )
        server.plan("AUTH", "454 4.7.0 Temporary authentication failure")
        assert await post.deliver(LOGIN) == Again("127.0.0.1: AUTH: 454 4.7.0 Temporary authentication failure")


async def test_a_server_that_only_knows_login_is_logged_in_to() -> None:
    async with MailServer(auth=("LOGIN",)) as server:
        assert isinstance(await Post(server).deliver(LOGIN), Delivered)
        assert server.taken[0].user == USERNAME


async def test_credentials_for_a_server_that_takes_none_are_refused() -> None:
    async with MailServer() as server:
        assert await Post(server).deliver(LOGIN) == Refused(
            "127.0.0.1: offers neither AUTH PLAIN nor AUTH LOGIN, and there are credentials; "
            "see outbox.outlets.post.credentials"
        )


async def test_addresses_beyond_ascii_need_smtputf8() -> None:
    async with MailServer() as server:
        post = Post(server, replace(PARCEL, recipient="jörg@hoster.example"))
        assert isinstance(await post.deliver(), Delivered)
        assert server.taken[0].recipients == ("jörg@hoster.example",)
        assert {"BODY=8BITMIME", "SMTPUTF8"} <= set(server.taken[0].options)
        assert "To: jörg@hoster.example\r\n".encode() in server.taken[0].content
    async with MailServer(utf8=False) as server:
        post = Post(server, replace(PARCEL, recipient="jörg@hoster.example"))
        assert await post.deliver() == Refused("127.0.0.1: does not take addresses beyond ASCII (SMTPUTF8)")


@pytest.mark.parametrize(
    ("parcel", "reason"),
    [
        (
            replace(PARCEL, recipient="abuse@hoster.nl"),
            "a test goes to nobody: to example.org or a name that ends in .example, .test or .invalid, not hoster.nl",
        ),
        (
            replace(PARCEL, recipient=""),
            "recipient: '' is no mail address: expected name@host, the host in ASCII (xn--...)",
        ),
        (
            replace(PARCEL, document=replace(XARF, format="cybertip")),
            "cybertip does not go by mail; letter, xarf, dsa16, dsa18, iccam do",
        ),
    ],
)
async def test_what_must_not_go_is_refused_before_anybody_is_asked(post: Post, parcel: Parcel, reason: str) -> None:
    post.parcel = parcel
    assert await post.deliver() == Refused(reason)
    assert (post.server.commands, post.saves) == ([], [])
