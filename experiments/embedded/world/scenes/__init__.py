"""Scenes drawn for the purpose: every attribute is exact."""
