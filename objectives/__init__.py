"""Scores from images: one float per image, higher is better.

This package knows nothing of diffusion or of optimisation.
It imports none of `fabric`, `optimizer` and `experiments`.
"""
