"""The demo: freely licensed photos, a set that knows five of them, and what the service must answer (`make demo`)."""
