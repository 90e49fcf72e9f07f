"""The documents that mail carries, as the projections make them: what the message has is what was rendered."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from hashmatch.model.cases import Environment
from hashmatch.outbox.mail_message import message
from hashmatch.outbox.parcels import Parcel
from tests.support.notice_cases import GOLDEN
from tests.support.union_cases import NOW

NAMES = [name for name in GOLDEN if not name.endswith(".txt")]


@pytest.mark.parametrize("name", NAMES)
def test_a_message_has_what_was_rendered(name: str) -> None:
    case, context, render = GOLDEN[name]
    document = render(case, context)
    parcel = Parcel("d-1", case.case_id, "key-1", Environment.TEST, document, recipient="abuse@hoster.example")
    made = message_from_bytes(message(parcel, "reports@hotline.example", NOW).as_bytes(), policy=policy.default)
    assert isinstance(made, EmailMessage)
    found = [part.get_payload(decode=True) for part in made.walk() if not part.is_multipart()]
    bodies = [part.replace(b"\r\n", b"\n") for part in found if isinstance(part, bytes)]
    assert document.body.replace(b"\r\n", b"\n") in bodies
    parts = dict(document.parts)
    assert "text" not in parts or parts["text"] in bodies
    assert "subject" not in parts or made["Subject"].split() == parts["subject"].decode().split()
