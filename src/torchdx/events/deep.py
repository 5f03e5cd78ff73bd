"""The deep look at the first steps: every operation traced to its line, every cut noticed.

It is dear (about 0.1 to 0.2 ms an operation), so that it ends after `STEPS` optimizer steps,
`BACKWARDS` backward passes or `SECONDS` after the first forward, whichever comes first.
"""

import time

import torch

from torchdx.events.cuts import Cuts
from torchdx.events.loop import Loop
from torchdx.events.recorder import Recorder
from torchdx.events.stacks import Stacks

STEPS = 2
BACKWARDS = 8
SECONDS = 20.0
AGAIN = 5  # later times that lines are looked for, when a new structure of loss turns up


class Deep:
    """Switches torch's stack keeping, the cuts and the eager stance on and off."""

    def __init__(self, recorder: Recorder, loop: Loop, cuts: Cuts, *, eager: bool) -> None:
        self._recorder, self._loop, self._cuts, self._eager = recorder, loop, cuts, eager
        self._stacks = Stacks()
        self._stance = False
        self._compiled = False
        self._began: float | None = None
        self._until, self._again = STEPS, 0
        self.on = False

    def start(self) -> None:
        """Begin."""
        self.on = True
        self._cuts.start()
        self._stacks.keep(on=True)

    def again(self) -> None:
        """A loss of a new structure has turned up late: trace the next step's operations."""
        known = self.on or self._compiled or torch.is_anomaly_enabled()
        if known or self._again >= AGAIN:
            return
        self._again += 1
        self._until, self._began = self._recorder.steps + 2, None
        self.on = True
        self._stacks.keep(on=True)

    def end(self) -> None:
        """End; harmless when it has ended."""
        if not self.on:
            return
        self.on = False
        self._cuts.stop()
        self._stacks.keep(on=False)
        if self._stance:
            self._stance = False
            torch.compiler.set_stance("default")

    def forward(self) -> None:
        """A model is called: the clock runs from the first time."""
        self._began = self._began or time.monotonic()
        self.maybe_end()

    def maybe_end(self) -> None:
        """End when enough was seen."""
        if not self.on:
            return
        steps = 1 if self._compiled else self._until
        late = self._began is not None and time.monotonic() - self._began > SECONDS
        many = not self._again and self._loop.backwards >= BACKWARDS
        if self._recorder.steps >= steps or many or late:
            self.end()

    def before_backward(self) -> None:
        """No stacks while torch runs backward: an error there would print them."""
        self._stacks.keep(on=False)

    def after_backward(self) -> None:
        """Stacks again."""
        if self.on:
            self._stacks.keep(on=True)
        self.maybe_end()

    def compiling(self) -> None:
        """The program compiles something: its first step is run eagerly, unless forbidden."""
        if self._compiled:
            return
        self._compiled = True
        eager = self._eager and self.on and self._recorder.steps == 0
        self._recorder.event("compile", eager=eager)
        if eager:
            torch.compiler.set_stance("force_eager")
            self._stance = True
        else:
            self.end()
