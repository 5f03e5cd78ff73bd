"""Hooks into torch, and what is made of what they tell."""
