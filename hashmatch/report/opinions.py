"""Opinions and events to and from protocol buffers; there and back is the identity, as in ``proto``."""

from __future__ import annotations

import datetime as dt

from hashmatch.model import Event, Opinion, Stance
from hashmatch.report.scalars import from_number, moment, timestamp, to_number
from hashmatch.v1 import hashset_pb2


def opinion_to_proto(opinion: Opinion) -> hashset_pb2.Opinion:
    """One opinion of an entry."""
    return hashset_pb2.Opinion(
        who=opinion.who,
        stance=to_number(hashset_pb2.Stance, "STANCE_", opinion.stance),
        reason=opinion.reason,
        at=timestamp(opinion.at),
        algorithm=opinion.algorithm,
    )


def opinion_from_proto(message: hashset_pb2.Opinion) -> Opinion:
    """Inverse of :func:`opinion_to_proto`; raises BadInput on an unspecified or unknown stance."""
    stance = from_number(hashset_pb2.Stance, "STANCE_", Stance, message.stance, "opinion.stance")
    return Opinion(message.who, stance, message.reason, moment(message, "at"), message.algorithm)


def event_to_proto(event: Event) -> hashset_pb2.Event:
    """One decision or opinion of a history."""
    return hashset_pb2.Event(
        at=timestamp(event.at),
        actor=event.actor,
        reason=event.reason,
        before=event.before,
        after=event.after,
        set_version=event.set_version,
        who=event.who,
        algorithm=event.algorithm,
        said_at=timestamp(event.said_at),
    )


def event_from_proto(message: hashset_pb2.Event) -> Event:
    """Inverse of :func:`event_to_proto`."""
    return Event(
        message.at.ToDatetime(tzinfo=dt.UTC),
        message.actor,
        message.reason,
        message.before,
        message.after,
        message.set_version,
        message.who,
        message.algorithm,
        moment(message, "said_at"),
    )
