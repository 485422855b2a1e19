"""`make bench`: time and memory of real runs, as tables in docs/bench.md."""
