"""The comparison of tuned settings with fixed FABRIC on prompts and seeds that the run never used."""
