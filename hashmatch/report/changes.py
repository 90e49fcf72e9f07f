"""Changes to a set as protocol buffers, both ways.

An entry that cannot be read, as a newer peer may send it, is a rejected row in its place: the others are still good.

What this module deliberately does not do: it follows nobody.
"""

from __future__ import annotations

from hashmatch.errors import BadInput
from hashmatch.model import Entry, Rejected, SetChanges
from hashmatch.report.proto import entry_from_proto, entry_to_proto, hash_set_from_proto, hash_set_to_proto
from hashmatch.v1 import hashset_pb2


def set_changes_to_proto(changes: SetChanges) -> hashset_pb2.FollowHashSetResponse:
    """Write changes to a set; rejected rows do not travel."""
    return hashset_pb2.FollowHashSetResponse(
        hash_set=hash_set_to_proto(changes.hash_set),
        entries=[entry_to_proto(row) for row in changes.rows if isinstance(row, Entry)],
        sequence=changes.sequence,
        complete=changes.complete,
        from_beginning=changes.from_beginning,
    )


def set_changes_from_proto(message: hashset_pb2.FollowHashSetResponse) -> SetChanges:
    """Inverse of :func:`set_changes_to_proto`. Raises BadInput for a set that cannot be read."""
    rows: list[Entry | Rejected] = []
    for position, untrusted_entry in enumerate(message.entries):
        try:
            rows.append(entry_from_proto(untrusted_entry))
        except BadInput as error:
            rows.append(Rejected(position, error.field or "", error.message))
    return SetChanges(
        hash_set_from_proto(message.hash_set), tuple(rows), message.sequence, message.complete, message.from_beginning
    )
