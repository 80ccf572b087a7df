"""The outermost room: wires everything together and is the command line."""
