"""Conditions and numbers about fields: written in Python or as text, and compiled to steps of the core."""
