"""The load generator: one process, one core, plain sockets, nothing beyond the standard library.

`python -m benchmarks.load` reads one job as JSON from standard input and prints one JSON result.
It is kept apart from the server's code on purpose: it must not share a bug with what it measures.
"""
