"""Navigation, one file a kind of source: which addresses, in which order, until when. Parsing is in ``pages``."""
