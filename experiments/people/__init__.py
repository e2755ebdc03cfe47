"""People as an objective of a run: their ratings, what they come to together, and the page where they are given."""
