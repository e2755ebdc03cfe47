"""The next parameters to try, from past pairs of parameters and score.

This package knows no image and no model. Of the other three it may import only `fabric.params`,
the plain parameter dataclasses; `objectives` and `experiments` are out of bounds.
"""
