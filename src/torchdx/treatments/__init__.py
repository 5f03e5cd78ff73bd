"""Treatments: what a finding prescribes, carried out in a running program.

One change a file. Each is installed into a `Site` of a program whose script stays as it is, and is
mostly a plain function besides, to be called by hand.
"""
