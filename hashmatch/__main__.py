"""``python -m hashmatch`` is the ``hashmatch`` command."""

from __future__ import annotations

from hashmatch.cli.main import main

raise SystemExit(main())
