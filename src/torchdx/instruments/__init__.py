"""One family of measurements a file."""
