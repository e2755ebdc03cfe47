"""The world of the embedded model: scenes, their pictures and their captions."""
