"""hashmatch: a matching engine for known abuse material.

An image goes in, hashes are computed in a confined process, known hashes within a Hamming distance are found, and a
match report comes out. The image is never stored.

The clients are re-exported here, lazily, so that ``import hashmatch`` loads no numba, no faiss and no Pillow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashmatch.client.aio import AsyncClient as AsyncClient
    from hashmatch.client.sync import Client as Client

__version__ = "0.1.0"
__all__ = ["AsyncClient", "Client", "__version__"]

_LAZY = {"AsyncClient": "hashmatch.client.aio", "Client": "hashmatch.client.sync"}


def __getattr__(name: str) -> Any:
    """Import a client the first time it is asked for."""
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
