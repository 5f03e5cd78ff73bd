"""One published finding a file; `STUDY` in each. The folder finds its own members."""
