"""Messages of reports and the classes that they mirror."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor

from hashmatch.model.cases import Case, Decision, Facts, Keep, NetworkEvent, Subject, Visibility
from hashmatch.report.plain import from_plain
from hashmatch.report.plain import to_plain as plain_of
from hashmatch.report.plain_wire import fill, prefix_of, to_plain
from hashmatch.v1 import report_pb2
from tests.support import cases


def _inner(hint: Any) -> Any:
    """Return what an optional or a tuple is of."""
    if typing.get_origin(hint) in {types.UnionType, typing.Union}:
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    return typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else hint


def differences(cls: Any, message: Descriptor) -> list[str]:
    """Return in what a message is not the mirror of a class, all the way down."""
    hints = typing.get_type_hints(cls)
    names = {item.name for item in dataclasses.fields(cls)}
    found = [f"{message.name}: {name}" for name in sorted(names ^ set(message.fields_by_name))]
    for name in names & set(message.fields_by_name):
        kind, field = _inner(hints[name]), message.fields_by_name[name]
        if dataclasses.is_dataclass(kind):
            assert field.message_type is not None, name
            found += differences(kind, field.message_type)
        elif isinstance(kind, type) and issubclass(kind, enum.Enum):
            assert field.enum_type is not None, name
            prefix = prefix_of(field.enum_type)
            words = {item.value for item in kind} | {"unspecified"}
            wire = {value.name.removeprefix(prefix).lower() for value in field.enum_type.values}
            found += [f"{message.name}.{name}: {word}" for word in sorted(words ^ wire)]
    return found


@pytest.mark.parametrize(("cls", "message"), [(Case, report_pb2.Case), (Facts, report_pb2.Facts)])
def test_messages_mirror_classes(cls: Any, message: Any) -> None:
    assert differences(cls, message.DESCRIPTOR) == []


def test_what_does_not_mirror_is_seen() -> None:
    assert "Facts: case_id" in differences(Case, report_pb2.Facts.DESCRIPTOR)


def test_facts_come_through() -> None:
    decision = Decision(visibility=Visibility.REMOVED, also_illegal=False)
    subject = Subject("user-17", network_events=(NetworkEvent("192.0.2.7", "upload", cases.NOW, 0),))
    facts = cases.facts(
        decision=decision, subject=subject, keep_subject=Keep.CASE, publicly_available=False, member_states=("NL",)
    )
    message = fill(report_pb2.Facts(), plain_of(facts))
    assert from_plain(Facts, to_plain(report_pb2.Facts.FromString(message.SerializeToString()))) == facts


def test_a_case_comes_through() -> None:
    case = cases.case(publicly_available=False)
    message = fill(report_pb2.Case(), plain_of(case, defaults=True))
    assert message.HasField("viewed_by_human")
    assert from_plain(Case, to_plain(message)) == dataclasses.replace(case, automated_detection=True)


def test_a_word_from_a_newer_caller_is_named() -> None:
    message = report_pb2.Facts(source=99)  # type: ignore[arg-type]
    assert to_plain(message) == {"source": "number 99"}
