"""Enumerations and times between protocol buffers and the model: what every translation uses.

Enumerations are mapped by name: ``Verdict.MATCH`` is ``VERDICT_MATCH``. An enumeration number that this version does
not know, as a newer peer may send it, is refused with the field's name rather than guessed at.
"""

from __future__ import annotations

import datetime as dt
import enum
import functools
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from hashmatch.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.internal.enum_type_wrapper import _EnumTypeWrapper

_E = TypeVar("_E", bound=enum.Enum)


@functools.cache
def _numbers(wrapper: _EnumTypeWrapper[Any], prefix: str, cls: type[enum.Enum]) -> Mapping[enum.Enum, int]:
    """Map every member to its number; one that the .proto lacks is an error at first use, not a wrong answer."""
    return {member: wrapper.Value(prefix + member.name) for member in cls}


def to_number(wrapper: _EnumTypeWrapper[Any], prefix: str, member: enum.Enum) -> Any:
    """Return the number of a member."""
    return _numbers(wrapper, prefix, type(member))[member]


def from_number(wrapper: _EnumTypeWrapper[Any], prefix: str, cls: type[_E], number: int, field: str) -> _E:
    """Return the member of ``number``.

    Raises
    ------
    BadInput
        The number is 0 (unspecified) or from a newer protocol.

    """
    for member, known in _numbers(wrapper, prefix, cls).items():
        if known == number:
            return cls(member.value)
    choices = ", ".join(prefix + member.name for member in cls)
    raise BadInput(f"{field}: {number} is not one of {choices}", field=field)


@functools.lru_cache(256)
def timestamp(time: dt.datetime | None) -> Timestamp | None:
    """Return a time for the wire, None for none: to be put into a message, which copies it, and never changed."""
    if time is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def moment(message: Any, field: str) -> dt.datetime | None:
    """Return the time in a field of a message, in UTC, None where it is absent.

    Raises
    ------
    BadInput
        The calendar has no such time.

    """
    if not message.HasField(field):
        return None
    try:
        time: dt.datetime = getattr(message, field).ToDatetime(tzinfo=dt.UTC)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{field}: no time of the years 1 to 9999", field=field) from error
    return time


def required_moment(message: Any, field: str) -> dt.datetime:
    """Return the time in a field of a message, in UTC; raises BadInput where it is absent, or as :func:`moment`."""
    time = moment(message, field)
    if time is None:
        raise BadInput(f"{field}: a time is missing", field=field)
    return time
