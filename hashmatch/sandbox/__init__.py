"""The only way from a stranger's bytes to a hash.

``pool`` is what the rest of hashmatch sees; everything else here exists to make it safe. docs/explain/sandbox.md tells
the whole story, docs/adr/0003-sandbox.md why it is built this way.
"""
