"""Frozen dataclasses as plain JSON values and back, by their type hints, naming what is wrong.

Theory of operation
-------------------
Records are written by :func:`to_plain`: dataclasses and mappings become objects, enumerations their words, bytes
lower-case hex, times ISO 8601 with their zone. :func:`from_plain` reads them by the hints of the class: what is missing
and has no default, what is no field, and what is of another kind is an error that names the field in dotted form. It
reads records of our own as well as what a caller writes, so a time without a zone is refused here, where its text is
still at hand.

What this module deliberately does not do: it knows no class and no rule between fields.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import enum
import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from hashmatch.errors import BadInput

T = TypeVar("T")
_N = TypeVar("_N", int, float)

_AS_THEY_ARE: Final = frozenset({str, int, float, bool, type(None)})
"""Kinds that JSON takes; what is derived from them, such as an enumeration, is looked at."""

MAX_NUMBER: Final = (1 << 63) - 1
"""Of any number in a record: what databases and protocol buffers have room for."""


def to_plain(value: Any, *, defaults: bool = False) -> Any:  # noqa: PLR0911  one per kind
    """Return a value as JSON takes it; fields that have their default are left out, unless those are wanted too."""
    cls = type(value)
    if cls in _AS_THEY_ARE:
        return value
    if dataclasses.is_dataclass(cls):
        return {
            name: to_plain(own, defaults=defaults)
            for name, item in _fields(cls).items()
            if not _is_default(item, own := getattr(value, name)) or defaults
        }
    match value:
        case enum.Enum():
            return value.value
        case bytes():
            return value.hex()
        case dt.datetime() | dt.date():
            return value.isoformat()
        case tuple() | frozenset():
            return [to_plain(item, defaults=defaults) for item in value]
        case Mapping():
            return {to_plain(key): to_plain(item, defaults=defaults) for key, item in value.items()}
        case _:
            return value


def from_plain(cls: type[T], raw: object, where: str = "", *, zeros: bool = False) -> T:
    """Build a dataclass from plain values.

    Parameters
    ----------
    cls : type
        The dataclass.
    raw : object
        What was read.
    where : str
        Its name in messages.
    zeros : bool
        Texts, numbers and bytes that are missing and have no default are empty or 0, as protocol buffers have it.
        What has two values, and no third that says "unknown", is required all the same.

    Raises
    ------
    BadInput
        A field is missing, unknown or of another kind; ``field`` names it.

    """
    if not isinstance(raw, Mapping):
        raise _wrong(where, "expected an object")
    known = _fields(cls)  # type: ignore[arg-type]  # a class is hashable
    hints = _hints(cls)  # type: ignore[arg-type]  # a class is hashable
    for key in raw:
        if key not in known:
            name = _named(key)
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
            raise _wrong(_dotted(where, name), f"no such field{hint}")
    missing = [
        name
        for name, item in known.items()
        if name not in raw and item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    ]
    empty = {name: hints[name]() for name in missing if zeros and hints[name] in _ZEROS}
    for name in missing:
        if name not in empty:
            raise _wrong(_dotted(where, name), "is required, and has no default")
    given = {name: _value(hints[name], raw[name], _dotted(where, name), zeros) for name in known if name in raw}
    return cls(**empty, **given)


@functools.cache
def _fields(cls: type) -> Mapping[str, dataclasses.Field[Any]]:
    return types.MappingProxyType({item.name: item for item in dataclasses.fields(cls)})


@functools.cache
def _hints(cls: type) -> Mapping[str, Any]:
    return types.MappingProxyType(typing.get_type_hints(cls))


def _is_default(item: dataclasses.Field[Any], value: object) -> bool:
    if item.default is not dataclasses.MISSING:
        return bool(type(value) is type(item.default) and value == item.default)
    return item.default_factory is not dataclasses.MISSING and bool(value == item.default_factory())


def _value(hint: Any, raw: object, where: str, zeros: bool) -> object:  # noqa: FBT001  handed down
    origin = typing.get_origin(hint)
    if origin is types.UnionType or origin is typing.Union:
        (inner,) = (part for part in typing.get_args(hint) if part is not type(None))
        return None if raw is None else _value(inner, raw, where, zeros)
    if origin is tuple:
        if not isinstance(raw, list | tuple):
            raise _wrong(where, "expected a list")
        return tuple(_value(typing.get_args(hint)[0], item, f"{where}[{n}]", zeros) for n, item in enumerate(raw))
    if origin is Mapping:
        if not isinstance(raw, Mapping):
            raise _wrong(where, "expected an object")
        of_key, of_item = typing.get_args(hint)
        return {
            _value(of_key, key, where, zeros): _value(of_item, item, _dotted(where, _named(key)), zeros)
            for key, item in raw.items()
        }
    if dataclasses.is_dataclass(hint):
        return from_plain(hint, raw, where, zeros=zeros)  # type: ignore[arg-type]  # a class, not an instance
    if isinstance(hint, type) and issubclass(hint, enum.StrEnum):
        return _word(hint, raw, where)
    return _scalar(hint, raw, where)


def _word(hint: type[enum.StrEnum], raw: object, where: str) -> enum.StrEnum:
    words = [item.value for item in hint]
    if raw not in words:
        got = repr(raw[:40]) if isinstance(raw, str) else type(raw).__name__
        raise _wrong(where, f"expected one of {', '.join(words)}, got {got}")
    return hint(raw)


def _scalar(hint: Any, raw: object, where: str) -> object:
    if hint is bool and isinstance(raw, bool):
        return raw
    if hint is int and isinstance(raw, int) and not isinstance(raw, bool):
        return _bounded(raw, where)
    if hint is float and isinstance(raw, int | float) and not isinstance(raw, bool):
        return float(_bounded(raw, where))
    if hint is str and isinstance(raw, str):
        return _text(raw, where)
    if isinstance(raw, str) and hint in _READERS:
        return _READERS[hint](raw, where)
    raise _wrong(where, f"expected {_KINDS[hint]}, got {type(raw).__name__}")


def _bounded(raw: _N, where: str) -> _N:
    if not -MAX_NUMBER <= raw <= MAX_NUMBER:  # neither is NaN
        raise _wrong(where, f"expected a number within -{MAX_NUMBER} and {MAX_NUMBER}")
    return raw


def _text(raw: str, where: str) -> str:
    try:
        raw.encode()
    except UnicodeEncodeError as error:
        raise _wrong(where, f"half of a surrogate pair at character {error.start}; it is no text") from None
    return raw


def _named(key: object) -> str:
    """Return a name that is no field, as a message takes it."""
    return str(key)[:40].encode("ascii", "backslashreplace").decode()


def _moment(raw: str, where: str) -> dt.datetime:
    try:
        at = dt.datetime.fromisoformat(raw)
    except ValueError:
        raise _wrong(where, f"{raw[:40]!r} is no time; write 2026-11-28T09:30:00+01:00") from None
    if at.tzinfo is None:
        raise _wrong(where, f"{raw[:40]!r} has no zone; give an offset, such as Z or +01:00")
    try:
        at.astimezone(dt.UTC)
    except OverflowError:
        raise _wrong(where, f"{raw[:40]!r} is in UTC in no year from 1 to 9999") from None
    return at


def _day(raw: str, where: str) -> dt.date:
    try:
        return dt.date.fromisoformat(raw)
    except ValueError:
        raise _wrong(where, f"{raw[:40]!r} is no date; write 2026-11-28") from None


def _bytes(raw: str, where: str) -> bytes:
    try:
        return bytes.fromhex(raw)
    except ValueError:
        raise _wrong(where, "expected bytes in hex") from None


_ZEROS = frozenset({str, int, bytes})
_READERS: Mapping[Any, Any] = types.MappingProxyType({dt.datetime: _moment, dt.date: _day, bytes: _bytes})
_KINDS: Mapping[Any, str] = types.MappingProxyType(
    {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a text",
        dt.datetime: "a time with its zone",
        dt.date: "a date",
        bytes: "bytes in hex",
    }
)


def _dotted(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _wrong(where: str, what: str) -> BadInput:
    return BadInput(f"{where}: {what}" if where else what, field=where or None)
