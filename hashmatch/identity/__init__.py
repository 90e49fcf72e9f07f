"""Who calls, what that caller may do, and how much of it: decided here, without gRPC.

``roles`` has the table from method to role, ``callers`` the caller of the call being served, ``tokens`` the form of an
API key, ``accounts`` who is known, ``keyfile`` the file that says so, ``quota`` how much, ``disclosure`` what a caller
who is to get a verdict and no more gets to see. The service asks all of that in one place (``service/admission.py``).
"""

from __future__ import annotations

from hashmatch.identity.callers import ANONYMOUS, LOCAL, Caller, acting, actor, caller
from hashmatch.identity.roles import METHODS, Role

__all__ = ["ANONYMOUS", "LOCAL", "METHODS", "Caller", "Role", "acting", "actor", "caller"]
