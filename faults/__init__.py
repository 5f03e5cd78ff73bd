"""Sick programs and their healthy twins, and how well they are told apart."""
