"""Streams on the command line: what `shmstore-inspect streams` and `top` do with them."""
