"""The module of ``children`` that may use the network."""

from __future__ import annotations

import sys

from hashmatch.hotline.confined import inside
from tests.support.hotline.children import prepare_network

if __name__ == "__main__":
    sys.exit(inside.serve_network(prepare_network))
