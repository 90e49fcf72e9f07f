"""The SDK: :class:`AsyncClient` is written by hand, :class:`Client` is generated from it.

:func:`verify_webhook` is for whoever receives what the service sends.

Importing it loads grpc and protobuf; no numba, faiss, Pillow or database (tests/unit/client/test_imports.py).
"""

from __future__ import annotations

from hashmatch.client.access import Access
from hashmatch.client.aio import AsyncClient
from hashmatch.client.results import HashedImage, StreamAnswer
from hashmatch.client.retry import RetryPolicy
from hashmatch.client.sync import Client
from hashmatch.webhooks import Webhook
from hashmatch.webhooks import verify as verify_webhook

__all__ = ["Access", "AsyncClient", "Client", "HashedImage", "RetryPolicy", "StreamAnswer", "Webhook", "verify_webhook"]
