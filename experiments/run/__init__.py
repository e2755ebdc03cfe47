"""A run: what a configuration stands for, how a setting is tried, and the loop that proposes the next one."""
