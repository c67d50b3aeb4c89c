"""Ratios of each stage to a bare loop that does the same work, on one broker, in one run.

`python -m benchmarks` (make bench) runs everything; docs/benchmarks.md says how to read it.
"""
