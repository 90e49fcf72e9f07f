"""Pure projections of a match report and of the catalog's words: protocol buffers and JSON."""
