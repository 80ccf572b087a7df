"""One file a command, imported only when it is called: start-up is a feature."""
