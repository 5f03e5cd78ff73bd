"""One diagnosis a file."""
