"""What a record is made of: models, optimizers, steps, phases, events. Nothing here is torch's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torchdx.graph.model import Line

Json = Mapping[str, Any]

# torch's optimizers whose update does not change when the loss is multiplied by a constant
# (up to `eps`): Kingma & Ba 2015, section 2.1, for Adam; the others divide by gradient sizes too.
SCALE_FREE = frozenset(
    "Adam AdamW NAdam RAdam Adamax Adagrad Adadelta RMSprop Rprop Adafactor SparseAdam Lion "
    "Muon AdamW8bit Adam8bit PagedAdamW".split()
)


@dataclass
class Model:
    """A module that no other module holds, as first seen.

    parameters  name -> shape; `trainable` names those that required a gradient then
    modules     name -> class, the model itself as ``""``
    own         module -> the parameters that it holds itself
    lines       module -> where it was made or given to its holder
    user        the modules whose class is written in the user's program
    late        parameters that came after it was first seen
    before      parameters that required a gradient when it was seen before, late ones left out
    """

    id: int
    cls: str
    line: Line | None
    parameters: dict[str, tuple[int, ...]]
    trainable: frozenset[str]
    modules: dict[str, str]
    own: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lines: dict[str, Line | None] = field(default_factory=dict)
    user: frozenset[str] = frozenset()
    late: frozenset[str] = frozenset()
    before: frozenset[str] = frozenset()

    def within(self, module: str) -> set[str]:
        """The parameters of a module and of all that it holds."""
        inner = module + "." if module else ""
        found = (p for m, p in self.own.items() if m == module or m.startswith(inner))
        return {name for names in found for name in names}


@dataclass
class Optimizer:
    """An optimizer and what it was given.

    step      optimizer steps (of any optimizer) done when it was made
    trained   optimizer id -> steps that it had already done on some of the same parameters
    loader    number of the data loader in use when it first stepped, 0 when none
    """

    id: int
    cls: str
    line: Line | None
    step: int
    defaults: dict[str, Any]
    parameters: tuple[str, ...]
    frozen: frozenset[str]
    trained: dict[int, int]
    steps: int = 0
    loader: int = 0
    first_loss: float | None = None
    lrs: list[tuple[int, float]] = field(default_factory=list)

    @property
    def scale_free(self) -> bool:
        """Whether a constant factor on the loss leaves its updates as they are."""
        return self.cls in SCALE_FREE


@dataclass(frozen=True)
class Look:
    """One optimizer step measured closely.

    step         of this optimizer, from 1
    parameters   how many it holds; of these `none` had no gradient when it stepped, `zero` zeros
    changed      how many parameters it changed
    stale        how many still held the gradient of the step before (nothing cleared it)
    grad_norm, weight_norm, update_norm   Euclidean, over all its parameters; None when not measured
    edited       whether the program changed gradients between its last backward and the step
    """

    optimizer: int
    step: int
    parameters: int
    none: int
    zero: int
    changed: int
    stale: int
    grad_norm: float | None
    weight_norm: float | None
    update_norm: float | None
    line: Line | None
    edited: bool = False


@dataclass(frozen=True)
class StepShape:
    """What happened in a step, in order: (kind, line, subject) of `data zero backward clip ...`.

    The subject is an optimizer's id for `zero` and `step` (0: cleared through a module), a graph's
    key for `backward`.
    """

    id: int
    optimizer: int
    events: tuple[tuple[str, Line | None, int], ...]

    def count(self, kind: str) -> int:
        """How many events of a kind."""
        return sum(event[0] == kind for event in self.events)


@dataclass(frozen=True)
class Phase:
    """One pass over a data loader, or one stretch without gradients where there is no loader.

    training    the model's mode at its forwards (None: no forward seen)
    active      how many of its dropout and batch-norm modules were in training mode then
    accuracy, loss   what the model predicted against the labels of the batches, where both were
                seen (loss: mean cross-entropy, or mean squared error)
    model       path of the model that was called
    at          backward passes done when it began; `during`: between its first batch and last
    chosen      whether the program had set training mode since the last backward pass
    inputs      a number for the first rows that the model was given, 0 when not taken; `repeated`
                whether it was given the same twice running
    complete    whether the loader came to its end; `size`: rows of its first batch, 0 when unknown
    """

    loader: int
    step: int
    batches: int
    backwards: int
    steps: int
    shuffled: bool
    training: bool | None
    active: int
    no_grad: bool
    accuracy: float | None
    loss: float | None
    rows: int
    line: Line | None
    model: str = ""
    at: int = 0
    during: int = 0
    chosen: bool = False
    inputs: int = 0
    repeated: bool = False
    complete: bool = False
    size: int = 0

    @property
    def validation(self) -> bool:
        """Whether the model was run in it and nothing was learnt from it."""
        return self.backwards == 0 and self.steps == 0 and self.training is not None


@dataclass
class Scheduler:
    """A learning-rate scheduler: how it was made and when it stepped.

    calls       of `step`, the one in its constructor left out; `per_step` of them came after
                exactly one optimizer step since the call before
    settings    its own numbers (`T_max`, `step_size`, `gamma`, ...)
    """

    id: int
    cls: str
    optimizer: int
    line: Line | None
    step: int
    settings: dict[str, Any]
    calls: int = 0
    per_step: int = 0
    called_at: Line | None = None


@dataclass(frozen=True)
class Cut:
    """A tensor with history left the graph: `op` on a tensor that `upstream` parameters made."""

    op: str
    line: Line | None
    upstream: tuple[str, ...]
    scalar: bool


@dataclass(frozen=True)
class Event:
    """Something that happened once, with what is known about it in `facts`."""

    kind: str
    step: int
    line: Line | None
    facts: Json
