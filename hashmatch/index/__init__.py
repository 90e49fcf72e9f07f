"""The search index: immutable mapped segments, strategies that search them, and the live index on top."""
