"""Runs the benchmarks one after the other and holds their figures against the bars."""
