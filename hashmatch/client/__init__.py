"""The SDK: :class:`AsyncClient` is written by hand, :class:`Client` is generated from it.

Importing it loads grpc and protobuf; no numba, faiss, Pillow or database (tests/unit/client/test_imports.py).
"""

from __future__ import annotations

from hashmatch.client.aio import AsyncClient
from hashmatch.client.results import HashedImage, StreamAnswer
from hashmatch.client.retry import RetryPolicy
from hashmatch.client.sync import Client

__all__ = ["AsyncClient", "Client", "HashedImage", "RetryPolicy", "StreamAnswer"]
