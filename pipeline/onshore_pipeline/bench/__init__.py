"""Benchmarks: real parts, one run, JSON out."""
