"""The comparison of drivers: `python -m benchmarks.compare`, described in docs/benchmarks.md."""
