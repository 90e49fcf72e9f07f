"""The audit of the service: who asked what, what was answered, and what changed, in a ledger.

``wording`` has the kinds of records and their bodies, without I/O; ``digests`` the keyed digests by which somebody who
has the secret finds what the log does not say in clear; ``log`` the log of one process. What a ledger is, and what
verifies it, is in ``ledger``.
"""

from hashmatch.audit.log import AuditLog

__all__ = ["AuditLog"]
