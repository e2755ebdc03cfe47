"""The worlds of the embedded models: scenes, their pictures and their captions."""
