"""Ties the other three packages together: runs, comparisons, reports, the command line.

This is the only package that may import all of `fabric`, `objectives` and `optimizer`.
None of them imports it.
"""
