"""Training that is resumable, whatever the model."""
