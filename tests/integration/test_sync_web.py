"""The wall around HTTP: whom it believes, and whom it goes through."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hashmatch.errors import SourceRefused, SourceUnavailable
from hashmatch.sections import SyncConfig
from hashmatch.sync.access import Access
from hashmatch.sync.walks import Request
from hashmatch.sync.web import Web
from tests.support.exchanges.base import served
from tests.support.exchanges.threatexchange import ThreatExchange
from tests.support.syncing import Follower

CONFIG = SyncConfig(tries=2, timeout_s=300, first_wait_s=0)


def self_signed(folder: Path) -> ssl.SSLContext:
    """Make a certificate for 127.0.0.1 that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "both.pem").write_bytes(secret + certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context


async def test_a_certificate_that_nobody_vouches_for_gets_no_credentials(tmp_path: Path) -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response()

    application = web.Application()
    application.router.add_get("/x", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self_signed(tmp_path)).start()
        base = urlsplit(f"https://127.0.0.1:{runner.addresses[0][1]}")
        async with Web(base, Access("threatexchange", {"access_token": "t"}), CONFIG) as far:
            with pytest.raises(SourceRefused, match="the certificate does not verify"):
                await far.send(Request("x"))
            assert (seen, far.retries) == ([], 0)
    finally:
        await runner.cleanup()


async def test_a_proxy_of_the_environment_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with served(ThreatExchange()) as exchange:
        follower = Follower(exchange, tmp_path)
        assert (await follower.sync()).complete
        follower.catalog.close()


async def test_a_server_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    exchange = ThreatExchange()
    exchange.url = "http://127.0.0.1:9/v20.0"
    follower = Follower(exchange, tmp_path)
    outcome = await follower.sync()
    assert isinstance(outcome.error, SourceUnavailable)
    assert outcome.error.message.endswith("the connection failed (ClientConnectorError) (3 tries)")
    assert len(follower.waits) == 2
    follower.catalog.close()
