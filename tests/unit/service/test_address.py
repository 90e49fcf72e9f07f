"""Where a server may listen."""

from __future__ import annotations

import pytest

from hashmatch.errors import BadConfig
from hashmatch.service.address import Address, judged


def judge(listen: str, *, encrypted: bool = False, callers_known: bool = False, allowed: bool = False) -> Address:
    """Judge an address; nothing protects it unless said."""
    return judged(listen, encrypted=encrypted, callers_known=callers_known, allow_insecure_remote=allowed)


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
    assert judge(listen).target == target


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:50051", "[::]:50051", "192.168.1.5:1", "example.org:50051", "127.0.0.1.example.org:1", "*:1"]
)
@pytest.mark.parametrize(
    ("encrypted", "callers_known", "lacking"),
    [
        (
            False,
            False,
            "the way is not encrypted (server.tls.certificate) and callers are not known (`hashmatch keys create`)",
        ),
        (False, True, "the way is not encrypted (server.tls.certificate)"),
        (True, False, "callers are not known (`hashmatch keys create`)"),
    ],
)
def test_addresses_that_others_reach_need_tls_and_callers_unless_allowed(
    listen: str, lacking: str, *, encrypted: bool, callers_known: bool
) -> None:
    with pytest.raises(BadConfig) as caught:
        judge(listen, encrypted=encrypted, callers_known=callers_known)
    assert caught.value.message == (
        f"server.listen: {listen} can be reached from other machines, and {lacking}; add what is missing, listen on "
        "127.0.0.1 or unix:/path, or set server.allow_insecure_remote = true behind a proxy that does it"
    )
    assert caught.value.field == "server.listen"
    assert judge(listen, encrypted=encrypted, callers_known=callers_known, allowed=True).target == listen


def test_addresses_that_others_reach_are_accepted_with_tls_and_callers() -> None:
    assert judge("0.0.0.0:50051", encrypted=True, callers_known=True).target == "0.0.0.0:50051"


@pytest.mark.parametrize("listen", ["", "50051", ":50051", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "h:-1", "h:٣"])
def test_what_is_no_address_is_refused_with_the_forms_that_are(listen: str) -> None:
    with pytest.raises(BadConfig, match=r"is not an address; expected host:port, \[ipv6\]:port or unix:/path"):
        judge(listen, allowed=True)


@pytest.mark.parametrize(("path", "size"), [("", 0), ("/" + "x" * 107, 108), ("/" + "ü" * 60, 121)])
def test_a_socket_path_that_the_kernel_cannot_hold_is_refused(path: str, size: int) -> None:
    with pytest.raises(BadConfig, match=f"the socket's path has {size} bytes; 1 to 107 are possible"):
        judge(f"unix:{path}")


def test_a_free_port_is_asked_for_by_zero() -> None:
    assert judge("127.0.0.1:0") == Address("127.0.0.1", 0)
