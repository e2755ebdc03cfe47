"""The studio's page and the server behind it."""
