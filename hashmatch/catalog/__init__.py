"""The hash-set store: which sets there are, what is in them, who said so, and what changed since.

``store`` holds the protocols that callers depend on; ``sqlite`` is the embedded implementation.
"""
