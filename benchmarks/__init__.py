"""SyncSphere measured beside its peers. `make bench` runs `python -m benchmarks.run`."""
