"""What is kept of a run on disk."""
