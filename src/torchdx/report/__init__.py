"""A judged run, for people and for programs."""
