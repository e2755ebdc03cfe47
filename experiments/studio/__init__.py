"""The studio: a person steers a prompt by looking, with the optimiser behind it."""
