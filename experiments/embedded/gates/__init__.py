"""What the embedded models must pass, and the cards that say how they did."""
