"""Starts a program under observation."""
