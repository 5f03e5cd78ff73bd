"""Curvature beside its peers: products, bounds, verdicts, memory, wrong answers, in one run."""
