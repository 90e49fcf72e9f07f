"""What people write beside a request: who they are, and why. Bounded, printable, and refused by name.

What this module deliberately does not do: it looks at no fact of a case; ``cases.facts`` does.
"""

from __future__ import annotations

from typing import Final

from hashmatch.errors import BadInput

MAX_KEY_LENGTH: Final = 200
"""Characters of an idempotency key; a UUID has 36."""
MAX_ACTOR_LENGTH: Final = 200
"""Characters of a name; the longest that mail systems take has 254, people's have fewer."""
MAX_REASON_LENGTH: Final = 1_000
"""Characters of a reason: a paragraph. It is kept with the case for good, and personal data have no place in it."""
MAX_RECIPIENT_LENGTH: Final = 1_000
"""Characters of a recipient: a mail address has 254, a postal one some lines."""


def check_actor(actor: str) -> None:
    """Refuse a request that nobody made; raises BadInput."""
    check_text(actor, "actor", MAX_ACTOR_LENGTH)


def check_reason(reason: str, *, required: bool = False) -> None:
    """Refuse a reason that is too long or no line of text; raises BadInput."""
    if reason or required:
        check_text(reason, "reason", MAX_REASON_LENGTH)


def check_recipient(recipient: str) -> None:
    """Refuse whom a letter is for, in as many lines as that takes, where it is too long or no text; raises BadInput."""
    if len(recipient) > MAX_RECIPIENT_LENGTH:
        raise BadInput(
            f"recipient: {len(recipient)} characters are too many; at most {MAX_RECIPIENT_LENGTH}", field="recipient"
        )
    if not "".join(recipient.split()).isprintable():
        raise BadInput("recipient: printable characters were expected", field="recipient")


def check_text(text: str, field: str, most: int) -> None:
    """Refuse a text that is empty, over ``most`` characters, or no line of text; raises BadInput."""
    if not text.strip():
        raise BadInput(f"{field}: is required", field=field)
    if len(text) > most:
        raise BadInput(f"{field}: {len(text)} characters are too many; at most {most}", field=field)
    if not text.isprintable():
        raise BadInput(f"{field}: at most {most} printable characters were expected", field=field)
