"""Emoji by five hands: pictures that nobody here drew."""
