"""The gRPC service: guard (error → status), handlers (translate, call, translate), server (assembly), runtime.

Two libraries read the environment while they are imported, so what they must find there is written here, before any
module of this package can import them:

* gRPC's fork handlers stay off. The zygote is started by exec and nothing here forks; the handlers would only add
  locks around every call (gRPC, doc/fork_support.md).
* OpenMP runs one thread per FAISS call. Fanning one query out over cores costs ten times its work under load, because
  the threads spin; parallelism comes from concurrent requests (docs/adr/0006-grpc-aio.md).
"""

from __future__ import annotations

import os

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
os.environ.setdefault("OMP_NUM_THREADS", "1")
