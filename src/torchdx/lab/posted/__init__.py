"""Programs as their authors posted them, re-expressed on small data, with the faults that they had.

Each takes a seed as its argument and prints its results as JSON in its last line. The study
`source-faults` runs them, as they are and mended, under torchdx.
"""
