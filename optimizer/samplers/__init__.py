"""Optuna samplers: ours, and Optuna's own as baselines."""
