"""``hashmatch`` whose workers run the stand-in decoder that attacks: there is no picture that kills the real one."""

from __future__ import annotations

from hashmatch.cli.main import main
from hashmatch.sandbox import pool
from hashmatch.sandbox.spawner import Launch
from tests.support.sandbox import ATTACKS

if __name__ == "__main__":
    vars(pool)["Launch"] = lambda: Launch(ATTACKS)
    main()
