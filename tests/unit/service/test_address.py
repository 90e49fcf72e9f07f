"""Where a server may listen."""

from __future__ import annotations

import pytest

from hashmatch.errors import BadConfig
from hashmatch.service.address import Address, judged


@pytest.mark.parametrize(
    ("listen", "target"),
    [
        ("127.0.0.1:50051", "127.0.0.1:50051"),
        ("127.9.9.9:0", "127.9.9.9:0"),
        ("localhost:1", "localhost:1"),
        ("[::1]:50051", "[::1]:50051"),
        ("unix:/run/hashmatch", "unix:/run/hashmatch"),
        ("unix:///run/hashmatch", "unix:/run/hashmatch"),
        ("unix:relative", "unix:relative"),
    ],
)
def test_addresses_of_this_machine_are_accepted(listen: str, target: str) -> None:
    assert judged(listen, allow_insecure_remote=False).target == target


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:50051", "[::]:50051", "192.168.1.5:1", "example.org:50051", "127.0.0.1.example.org:1", "*:1"]
)
def test_addresses_that_others_reach_are_refused_unless_allowed(listen: str) -> None:
    with pytest.raises(
        BadConfig, match="can be reached from other machines, and this version has neither TLS"
    ) as caught:
        judged(listen, allow_insecure_remote=False)
    assert caught.value.field == "server.listen"
    assert judged(listen, allow_insecure_remote=True).target == listen


@pytest.mark.parametrize("listen", ["", "50051", ":50051", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "h:-1", "h:٣"])
def test_what_is_no_address_is_refused_with_the_forms_that_are(listen: str) -> None:
    with pytest.raises(BadConfig, match=r"is not an address; expected host:port, \[ipv6\]:port or unix:/path"):
        judged(listen, allow_insecure_remote=True)


@pytest.mark.parametrize(("path", "size"), [("", 0), ("/" + "x" * 107, 108), ("/" + "ü" * 60, 121)])
def test_a_socket_path_that_the_kernel_cannot_hold_is_refused(path: str, size: int) -> None:
    with pytest.raises(BadConfig, match=f"the socket's path has {size} bytes; 1 to 107 are possible"):
        judged(f"unix:{path}", allow_insecure_remote=False)


def test_a_free_port_is_asked_for_by_zero() -> None:
    assert judged("127.0.0.1:0", allow_insecure_remote=False) == Address("127.0.0.1", 0)
