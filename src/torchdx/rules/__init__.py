"""The diagnoses, one a file; what is common to them is in `base` and `ranking`."""
