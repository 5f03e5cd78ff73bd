"""Probes: costlier measurements, made on a copy of the model at chosen steps.

A probe takes a `Subject` (a model, what it was called with, its loss) and answers with a small
dataclass of plain numbers, or with `Unmeasured` and why. It never raises, and leaves nothing
behind: weights, buffers, modes, gradients, random states and output streams are as before.
"""
