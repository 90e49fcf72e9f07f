"""Protocol buffers to and from plain JSON values, by the descriptors: records whose messages mirror their classes.

Theory of operation
-------------------
A case has some hundred fields in a score of classes, and its messages have the same names. So nothing is written twice:
:func:`to_plain` turns a message into what ``report.plain`` reads, :func:`fill` does the opposite, and a test holds
messages and classes against each other, field by field and word by word. Enumerations are their words in lower case,
without the prefix that protocol buffers want; what is not set is left out; bytes are lower-case hex.

What this module deliberately does not do: it checks no value. ``report.plain`` does, and names what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

_M = TypeVar("_M", bound=Message)


def to_plain(message: Message) -> dict[str, Any]:
    """Return what is set in a message."""
    return {
        field.name: [_plain(field, item) for item in value] if _is_list(value) else _plain(field, value)
        for field, value in message.ListFields()
    }


def fill(message: _M, plain: Mapping[str, Any]) -> _M:
    """Set the fields of a message from plain values, and return it; None sets nothing."""
    for name, value in plain.items():
        field = message.DESCRIPTOR.fields_by_name[name]
        if value is None:
            continue
        if field.message_type is not None:
            target = getattr(message, name)
            if isinstance(value, Mapping):
                target.SetInParent()
                fill(target, value)
            else:
                for item in value:
                    fill(target.add(), item)
        elif isinstance(value, list):
            getattr(message, name).extend(_wire(field, item) for item in value)
        else:
            setattr(message, name, _wire(field, value))
    return message


def prefix_of(enum: EnumDescriptor) -> str:
    """Return what protocol buffers want before each word: HARM_DOMAIN_ of HarmDomain."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"


def _plain(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return to_plain(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return f"number {value}" if known is None else known.name.removeprefix(prefix_of(field.enum_type)).lower()
    return value.hex() if isinstance(value, bytes) else value


def _wire(field: Any, value: Any) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values_by_name[prefix_of(field.enum_type) + str(value).upper()].number
    return bytes.fromhex(value) if field.type == FieldDescriptor.TYPE_BYTES else value


def _is_list(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes)
