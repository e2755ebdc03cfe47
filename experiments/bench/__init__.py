"""Benchmarks: what proposals, images, samplers and the studio cost, and what they gain."""
