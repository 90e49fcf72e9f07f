"""``python -m hashmatch.bench.serving_echo``: a gRPC server that reads a request and answers with next to nothing.

What is left of a Detect call when nothing is detected: the same library, the same message, one event loop.

What this module deliberately does not do: it knows nothing of images.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc
import grpc.aio

from hashmatch.v1 import detection_pb2

METHOD = "/hashmatch.bench.Echo/Detect"


async def main() -> None:
    """Serve on a free port of the loopback until standard input ends."""
    answer = detection_pb2.DetectResponse()

    async def detect(request: detection_pb2.DetectRequest, context: Any) -> detection_pb2.DetectResponse:  # noqa: ARG001  gRPC's signature
        return answer

    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 64 << 20)])
    handler = grpc.unary_unary_rpc_method_handler(
        detect,
        request_deserializer=detection_pb2.DetectRequest.FromString,
        response_serializer=detection_pb2.DetectResponse.SerializeToString,
    )
    generic: Any = grpc.method_handlers_generic_handler("hashmatch.bench.Echo", {"Detect": handler})
    server.add_generic_rpc_handlers((generic,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)  # noqa: T201  whoever started it reads this
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main())
