"""Images from a prompt, feedback images, parameters and a seed.

This package holds the FABRIC step itself and knows nothing of scores or of optimisation.
It imports none of `objectives`, `optimizer` and `experiments`.
"""
