"""Trials: paired re-runs of the user's own program, with and without a treatment.

`plan` says what is run and when to stop, `runner` runs it in fresh processes, `child` is what runs
there, `verdict` what follows. Plan, measures and verdict import no torch.
"""
