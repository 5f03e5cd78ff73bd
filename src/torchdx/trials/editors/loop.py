"""Edits of the loop: what is called, and in which order."""
