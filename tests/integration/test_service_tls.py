"""TLS through real sockets: who is trusted, by which certificate, and what becomes of files that change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509

from hashmatch.client import Access, AsyncClient, Client, RetryPolicy
from hashmatch.config import TlsConfig
from hashmatch.errors import BadConfig, ServiceUnavailable, Unauthenticated
from hashmatch.identity import Role
from tests.support import identity
from tests.support.certificates import DAY, Authority, server_names, write
from tests.support.service import Scene, loopback, serving

ONCE = RetryPolicy(attempts=1)
ROOT = Authority()
OTHER = Authority("other")


@contextlib.asynccontextmanager
async def tls(tmp_path: Path, client_ca: bytes = b"") -> AsyncIterator[tuple[Scene, str]]:
    """Serve with a certificate; yield the scene and the address by name."""
    chain, key = ROOT.issue(*server_names())
    config = TlsConfig(
        certificate=write(tmp_path / "tls.crt", chain),
        key=write(tmp_path / "tls.key", key),
        client_ca=write(tmp_path / "ca.crt", client_ca) if client_ca else "",
    )
    async with serving(Scene(loopback(tls=config), data_dir=tmp_path)) as scene:
        yield scene, scene.target.replace("127.0.0.1", "localhost")


def client(target: str, access: Access) -> AsyncClient:
    return AsyncClient(target, access=access, retry=ONCE, timeout_s=300)


async def fails(target: str, access: Access) -> str:
    async with client(target, access) as asking:
        with pytest.raises(ServiceUnavailable) as raised:
            await asking.detect(b"image")
    return raised.value.message


async def test_a_service_is_known_by_its_root_and_by_no_other(tmp_path: Path) -> None:
    async with tls(tmp_path) as (_, target):
        async with client(target, Access(ca=ROOT.pem)) as asking:
            assert (await asking.detect(b"image")).request_id
        assert "no hashmatch service answers at" in await fails(target, Access(ca=OTHER.pem))
        assert "no hashmatch service answers at" in await fails(target, Access(tls=True))
        assert "no hashmatch service answers at" in await fails(target, Access())


async def test_a_name_that_is_not_in_the_certificate_has_to_be_said(tmp_path: Path) -> None:
    async with tls(tmp_path) as (scene, _):
        assert "no hashmatch service answers at" in await fails(scene.target, Access(ca=ROOT.pem))
        async with client(scene.target, Access(ca=ROOT.pem, name="localhost")) as asking:
            await asking.wait_ready()


def handshake(port: int, version: ssl.TLSVersion) -> str:
    """Shake hands with one version of TLS; return which one it was."""
    context = ssl.create_default_context(cadata=ROOT.pem.decode())
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        return str(wrapped.version())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_the_oldest_version_is_1_2(tmp_path: Path) -> None:
    async with tls(tmp_path) as (scene, _):
        port = int(scene.target.rpartition(":")[2])
        for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
            assert await asyncio.to_thread(handshake, port, version) == name
        with pytest.raises(ssl.SSLError):
            await asyncio.to_thread(handshake, port, ssl.TLSVersion.TLSv1_1)


async def test_a_certificate_is_read_again_while_connections_stay_open(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hashmatch.service")
    async with tls(tmp_path) as (_, target), client(target, Access(ca=ROOT.pem)) as before:
        await before.detect(b"image")
        chain, key = OTHER.issue(*server_names())
        write(tmp_path / "tls.crt", chain)
        assert "no hashmatch service answers" in await fails(target, Access(ca=OTHER.pem))
        assert "server.tls.key: is not the key of the certificate" in caplog.text
        async with client(target, Access(ca=ROOT.pem)) as still:
            await still.detect(b"image")
        write(tmp_path / "tls.key", key)
        async with client(target, Access(ca=OTHER.pem)) as after:
            await after.detect(b"image")
        assert "the certificate was read again" in caplog.text
        await before.detect(b"image")
        assert "no hashmatch service answers" in await fails(target, Access(ca=ROOT.pem))


async def test_who_calls_is_said_by_the_names_of_a_certificate(tmp_path: Path) -> None:
    uri, name = "spiffe://example.org/upload", "batch.example.org"
    identity.write(
        tmp_path / "keys.json",
        identity.account("uploads", certificates=(uri,)),
        identity.account("batch", (Role.OPERATE,), certificates=(name,)),
    )
    async with tls(tmp_path, client_ca=OTHER.pem) as (_, target):

        def shown(authority: Authority, *names: x509.GeneralName) -> Access:
            certificate, key = authority.issue(*names)
            return Access(ca=ROOT.pem, certificate=certificate, key=key)

        async with client(target, shown(OTHER, x509.UniformResourceIdentifier(uri))) as uploads:
            await uploads.detect(b"image")
        async with client(target, shown(OTHER, x509.DNSName(name))) as batch:
            await batch.status()
        async with client(target, shown(OTHER, x509.DNSName("x.example.org"))) as stranger:
            with pytest.raises(Unauthenticated, match="the certificate has no name"):
                await stranger.detect(b"image")
        assert "no hashmatch service answers" in await fails(target, shown(ROOT, x509.DNSName(name)))
        assert "no hashmatch service answers" in await fails(target, Access(ca=ROOT.pem))


async def test_the_generated_client_does_the_same(tmp_path: Path) -> None:
    one, token = identity.keyed(identity.account())
    identity.write(tmp_path / "keys.json", one)

    def ask(target: str) -> str:
        with Client(target, access=Access(ca=ROOT.pem, api_key=token.text), retry=ONCE) as asking:
            return asking.detect(b"image").request_id

    async with tls(tmp_path) as (_, target):
        assert await asyncio.to_thread(ask, target)


@pytest.mark.parametrize("what", ["key", "certificate", "expired", "rights", "root", "gone"])
async def test_files_that_do_not_belong_together_keep_a_service_from_starting(tmp_path: Path, what: str) -> None:
    chain, key = ROOT.issue(*server_names(), shift=-3 * DAY if what == "expired" else 0 * DAY)
    if what == "key":
        key = ROOT.issue(*server_names())[1]
    names = [write(tmp_path / "c", b"x" if what == "certificate" else chain), write(tmp_path / "k", key)]
    roots = write(tmp_path / "r", b"x") if what == "root" else ""
    if what == "rights":
        (tmp_path / "k").chmod(0o604)
    if what == "gone":
        (tmp_path / "k").unlink()
    messages = {
        "key": "server.tls.key: is not the key of the certificate",
        "certificate": "server.tls.certificate: holds no certificate in PEM",
        "expired": "server.tls.certificate: is valid from",
        "rights": f"server.tls.key: everybody may read {tmp_path}/k (mode 0604); chmod 600 it, or 640 for a group",
        "root": "server.tls.client_ca: holds no certificate in PEM",
        "gone": f"server.tls.key: cannot read {tmp_path}/k: No such file or directory",
    }
    with pytest.raises(BadConfig) as raised:
        async with serving(Scene(loopback(tls=TlsConfig(certificate=names[0], key=names[1], client_ca=roots)))):
            pass
    assert raised.value.message.startswith(messages[what])
