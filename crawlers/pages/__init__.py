"""Parsers: saved bytes in, what they say out; one file a source. Nothing here fetches."""
