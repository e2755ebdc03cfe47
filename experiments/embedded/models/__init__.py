"""The embedded models, each with its loss and its training."""
