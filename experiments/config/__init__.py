"""The configuration of a run: its schema, how it is read from a file, and the flags that change it."""
