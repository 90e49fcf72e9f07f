"""The gRPC endpoint: address, options, handlers, guard and health in one object that starts, drains and ends.

Theory of operation
-------------------
``grpc.aio`` on the running event loop (docs/adr/0006-grpc-aio.md has the measurements). The address is bound when asked
for, so that a second server on it fails at once; calls are accepted after :meth:`Endpoint.start`. A drain turns health
to NOT_SERVING, refuses new calls, and cancels accepted ones only after ``server.drain_s``. Calls that end only when
their caller goes away (health watches) never hold it up.

What this module deliberately does not do: it handles no request, and knows no backend: what answers is offered to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hashmatch.config import HotlineConfig, ServerConfig
from hashmatch.errors import BadConfig
from hashmatch.service import address, connections
from hashmatch.service.admission import Admission
from hashmatch.service.checks import Check
from hashmatch.service.curation import Curator
from hashmatch.service.desk import Desk
from hashmatch.service.detection import DETECT, DETECT_HASHES, DetectionHandlers, Detector, Room
from hashmatch.service.guard import Guard
from hashmatch.service.hashsets import HashSetHandlers
from hashmatch.service.health import Health
from hashmatch.service.holding import held_on
from hashmatch.service.hotline import Checks, HotlineHandlers
from hashmatch.service.keyring import Keyring
from hashmatch.service.reporting import ReportHandlers
from hashmatch.service.seating import ONLY, Seat
from hashmatch.service.status import Observed, StatusHandlers
from hashmatch.service.tls import Certificates
from hashmatch.service.watching import Watch, WatchedChecks
from hashmatch.v1 import (
    detection_pb2,
    detection_pb2_grpc,
    hashset_pb2,
    hashset_pb2_grpc,
    hotline_pb2,
    hotline_pb2_grpc,
    report_pb2,
    report_pb2_grpc,
    status_pb2,
    status_pb2_grpc,
)

_SERVICES = (
    *detection_pb2.DESCRIPTOR.services_by_name.values(),
    *hashset_pb2.DESCRIPTOR.services_by_name.values(),
    *hotline_pb2.DESCRIPTOR.services_by_name.values(),
    *report_pb2.DESCRIPTOR.services_by_name.values(),
    *status_pb2.DESCRIPTOR.services_by_name.values(),
    *health_pb2.DESCRIPTOR.services_by_name.values(),
)
_LATEST_MOVE: Final = 1.2
"""gRPC lets connections live for up to a tenth longer than they are told to, so that not all move at once."""
_LOOK_S: Final = 0.1
_log = logging.getLogger("hashmatch.service")


class Endpoint:
    """A gRPC server with every option of ``ServerConfig``; handlers are offered to it before it starts."""

    def __init__(
        self,
        config: ServerConfig,
        hotline: HotlineConfig = HotlineConfig(),  # noqa: B008  frozen
        keyring: Keyring | None = None,
        seat: Seat = ONLY,
        watch: Watch | None = None,
    ) -> None:
        self._config = config
        self._port: int | None = None
        self._keyring = keyring or Keyring(config)
        self._hotline = hotline
        self._watch = watch or Watch()
        self._guard = Guard(self._watch)
        self._health = Health(())
        self._admission = Admission(self._keyring, config.quota, seat)
        self._grpc = grpc.aio.server(
            interceptors=(self._guard, self._admission),  # the guard is outermost
            options=_options(config, seat),
            compression=grpc.Compression.NoCompression,
        )

        self._methods: Any = _Methods(self._grpc)

    def __repr__(self) -> str:
        return f"<Endpoint on {self._config.listen}: {self._health!r}, {self._guard!r}>"

    @property
    def active(self) -> int:
        """Calls being served."""
        return self._guard.active

    def bind(self) -> str:
        """Take the configured address and return it with the real port.

        Raises
        ------
        BadConfig
            It is no address, is not local and lacks what that needs, or is in use; or a file of ``server.tls``
            cannot be used.

        """
        tls = self._config.tls
        wanted = address.judged(
            self._config.listen,
            encrypted=bool(tls.certificate),
            callers_known=self._keyring.directory is not None,
            allow_insecure_remote=self._config.allow_insecure_remote,
        )
        credentials = Certificates(tls).credentials() if tls.certificate else None
        try:
            port = (
                self._grpc.add_insecure_port(wanted.target)
                if credentials is None
                else self._grpc.add_secure_port(wanted.target, credentials)
            )
        except RuntimeError as error:
            raise BadConfig(
                f"server.listen: cannot listen on {wanted.target}; is another server running there, or is the "
                "address not this machine's?",
                field="server.listen",
            ) from error
        if wanted.port is None:
            return wanted.target
        self._port = port
        return address.Address(wanted.host, port).target

    def offer(
        self,
        detector: Detector,
        curator: Curator,
        observed: Observed,
        desk: Desk | None = None,
        checks: Checks | None = None,
        *,
        room: Room | None = None,
    ) -> None:
        """Add the services; that of reports where there is a desk. Without ``checks`` no URL is checked.

        Calls for which ``room`` has no room are refused before they are read.

        Raises
        ------
        BadConfig
            ``server.reflection`` is on and its extra is not installed.

        """
        detection = DetectionHandlers(
            detector,
            curator.refresh,
            stream_window=self._config.stream_window,
            max_batch=self._config.max_batch,
        )
        detection_pb2_grpc.add_DetectionServiceServicer_to_server(detection, self._methods)
        hashset_pb2_grpc.add_HashSetServiceServicer_to_server(HashSetHandlers(curator), self._methods)
        if desk is not None:
            reports = ReportHandlers(desk.casework, desk)
            report_pb2_grpc.add_ReportServiceServicer_to_server(reports, self._methods)
        watched = None if checks is None else WatchedChecks(checks, self._watch.tally)
        hotline = HotlineHandlers(watched, self._hotline)
        hotline_pb2_grpc.add_HotlineServiceServicer_to_server(hotline, self._methods)
        status_pb2_grpc.add_StatusServiceServicer_to_server(StatusHandlers(observed), self._methods)
        if room is not None:
            self._admission.rooms = {DETECT: room.check_room, DETECT_HASHES: room.check_room_for_hashes}
        if self._config.reflection:
            _add_reflection(self._grpc)

    async def start(self, checks: Sequence[Check]) -> None:
        """Accept calls; readiness is composed of ``checks``."""
        self._health = Health(checks)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, self._methods)
        await self._health.refresh()
        held_on(asyncio.get_running_loop())
        await self._grpc.start()

    async def run(self, *stops: asyncio.Event) -> None:
        """Keep health and the known callers current until one of ``stops`` is set."""
        stopping = {asyncio.create_task(stop.wait()) for stop in stops}
        tasks: set[asyncio.Task[Any]] = {
            asyncio.create_task(self._health.follow(self._config.health_poll_ms / 1e3)),
            asyncio.create_task(self._keyring.follow()),
            *stopping,
        }
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended - stopping:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def leave(self, stop: asyncio.Event) -> None:
        """Take no new connections and serve those there are until they have moved on, unless ``stop`` is set.

        Only with several processes, where connections have :attr:`ServerConfig.move_s`.
        """
        if stop.is_set():
            return
        assert self._port is not None  # noqa: S101  Unix sockets are not shared
        await self._health.drain()
        connections.end_listening(self._port)
        _log.info("leaving; %d connections move on", connections.count(self._port))
        patience_s = _LATEST_MOVE * self._config.move_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while connections.count(self._port) and not stop.is_set():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_S):
                            await stop.wait()

    async def drain(self, hurry: asyncio.Event | None = None) -> None:
        """Refuse new calls and let accepted ones finish within ``drain_s``, or until ``hurry`` is set."""
        _log.info("draining %d calls for at most %d s", self._guard.active, self._config.drain_s)
        await self._health.drain()
        ends = [
            asyncio.create_task(self._grpc.stop(self._config.drain_s)),
            asyncio.create_task(self._guard.idle()),
            asyncio.create_task((hurry or asyncio.Event()).wait()),
        ]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        await self._grpc.stop(None)
        for end in ends[1:]:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)
        _log.info("drained")

    async def abort(self) -> None:
        """Cancel whatever still runs and give the address back. Safe after :meth:`drain`."""
        await self._grpc.stop(None)


class _Methods:
    """The server as generated code sees it, which hands each method over twice.

    Of methods that are registered, gRPC's event loop awaits one future each, all of them anew for every call: with 37
    methods that is a tenth of a millisecond. Methods that it finds by their handlers cost nothing while others are
    called, and what is found is the same.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Let methods be found by these handlers."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Register nothing."""


def _options(config: ServerConfig, seat: Seat) -> list[tuple[str, Any]]:
    shared = seat.of > 1
    age_s = min(config.move_s, config.connection_age_s) if shared else config.connection_age_s
    grace_s = config.connection_age_s + config.connection_grace_s - age_s  # the whole is the same, shared or not
    return [
        ("grpc.max_receive_message_length", config.max_message_bytes),
        ("grpc.max_concurrent_streams", config.max_concurrent_streams),
        ("grpc.max_metadata_size", config.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", config.max_metadata_bytes),
        ("grpc.max_allowed_incoming_connections", config.max_connections),
        ("grpc.server_handshake_timeout_ms", config.handshake_timeout_ms),
        ("grpc.max_connection_idle_ms", config.connection_idle_s * 1_000),
        ("grpc.max_connection_age_ms", age_s * 1_000),
        ("grpc.max_connection_age_grace_ms", grace_s * 1_000),
        ("grpc.keepalive_time_ms", config.keepalive_s * 1_000),
        ("grpc.keepalive_timeout_ms", config.keepalive_timeout_s * 1_000),
        ("grpc.http2.min_ping_interval_without_data_ms", config.min_ping_interval_s * 1_000),
        ("grpc.so_reuseport", int(shared)),  # else 0, or a second server would silently share the port
    ]


def _add_reflection(server: grpc.aio.Server) -> None:
    try:
        from grpc_reflection.v1alpha import reflection
    except ImportError as error:
        raise BadConfig(
            "server.reflection: grpcio-reflection is not installed; install hashmatch[reflection] or switch it off",
            field="server.reflection",
        ) from error
    names = (*(service.full_name for service in _SERVICES), reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
