"""The studio's agent: what it has learnt from a person's choices, and the settings that it proposes next."""
