"""What happened in a session of the studio: records that are only appended, and the state that they add up to."""
