from __future__ import annotations

import pytest

from hashmatch.sandbox import landlock


@pytest.mark.parametrize(
    ("version", "files", "networks", "scopes", "size"),
    [
        (1, 0x1FFF, 0, 0, 8),
        (2, 0x3FFF, 0, 0, 8),
        (3, 0x7FFF, 0, 0, 8),
        (4, 0x7FFF, 3, 0, 16),
        (5, 0xFFFF, 3, 0, 16),
        (6, 0xFFFF, 3, 3, 24),
        (7, 0xFFFF, 3, 3, 24),
        (99, 0xFFFF, 3, 3, 24),
    ],
)
def test_everything_that_the_kernel_knows_is_handled(
    version: int, files: int, networks: int, scopes: int, size: int
) -> None:
    attr, known = landlock._handled(version)
    assert (attr.handled_access_fs, attr.handled_access_net, attr.scoped, known) == (files, networks, scopes, size)
