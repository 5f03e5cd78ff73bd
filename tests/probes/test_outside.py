"""What a forward reaches outside of its model is left as it was, or the probe is refused."""

import argparse
import collections
import io
import threading
import types

import numpy as np
import pytest
import torch
from torch import nn

from tests.probes.subjects import CLASSES, FEATURES, Lambda, mlp, subject
from torchdx.probes.errors import CannotMeasure
from torchdx.probes.modes import modes
from torchdx.probes.outside import Outside, functions_of
from torchdx.probes.subject import Unmeasured


class Meter:
    """Counts, as programs do."""

    def __init__(self) -> None:
        self.count, self.values, self.by_name = 0, [], {"inner": []}

    def update(self, value: float) -> None:
        self.count += 1
        self.values.append(value)
        self.by_name["inner"].append(value)


class Slotted:
    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Odd:
    """Neither hashed nor compared as others are."""

    def __hash__(self) -> int:
        return HASHED.pop() if HASHED else 1

    def __eq__(self, other: object) -> bool:
        msg = "do not compare"
        raise RuntimeError(msg)


class Proxy:
    """Every look at an attribute is noticed."""

    def __getattribute__(self, name: str) -> None:
        TOUCHED.append(name)
        msg = "do not look"
        raise RuntimeError(msg)


class Table(dict):
    """A mapping of the program's own."""


class Classy(nn.Module):
    """Counts in its class, by attributes of several kinds."""

    calls = 0
    trail: list = []  # noqa: RUF012
    meter = Meter()
    slotted = property(lambda _: 1)

    def __init__(self) -> None:
        super().__init__()
        self.net = mlp()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Classy.calls += 1
        type(self).fresh = x
        self.trail.append(1)
        self.meter.update(1.0)
        return self.net(x)


HASHED: list[int] = []
TOUCHED: list[str] = []
METER, SLOTTED, PROXY = Meter(), Slotted(), Proxy()
NESTED = {"inner": [1, {"deep": []}], "number": 1}
COUNTS = collections.Counter(a=1)
DEFAULTS = collections.defaultdict(list)
ORDERED = collections.OrderedDict(a=1, b=2)
QUEUE = collections.deque([1, 2], maxlen=3)
ODD_KEYS = {Odd(): 1}
ODD_ITEMS = [Odd()]
TABLE = Table(a=1)
LINES = io.StringIO()
DRAWS = torch.Generator().manual_seed(0)
NUMPYS = np.random.default_rng(0)
ORDER = iter(range(100))
LOCK = threading.Lock()
MODULES = [nn.BatchNorm1d(FEATURES)]
SCALE = torch.ones(FEATURES, requires_grad=True)
PLAIN = torch.zeros(3)
ARRAY = np.array([np.nan, 1.0])
OPTIONS = argparse.Namespace(width=3, names=["a"])
HELPERS = types.ModuleType("helpers")
exec("LOG = []\nTIMES = 0\ndef note(x):\n    LOG.append(x)\n", vars(HELPERS))  # noqa: S102


def seen() -> list:
    """All of it, by value."""
    return [
        METER.count, list(METER.values), list(METER.by_name["inner"]), repr(NESTED), dict(COUNTS),
        repr(DEFAULTS), repr(ORDERED), repr(QUEUE), len(ODD_KEYS), len(ODD_ITEMS), dict(TABLE),
        LINES.getvalue(), DRAWS.get_state().tolist(), str(NUMPYS.bit_generator.state), repr(ORDER),
        MODULES[0].num_batches_tracked.item(), PLAIN.tolist(), repr(ARRAY), repr(OPTIONS),
        repr(HELPERS.LOG), HELPERS.TIMES, SLOTTED.count, list(TOUCHED), Classy.calls,
        list(Classy.trail), Classy.meter.count, sorted(vars(Classy)),
    ]  # fmt: skip


def keeps_a_meter(self, x):
    METER.update(1.0)
    METER.count += 1
    return self.net(x)


def keeps_nested(self, x):
    NESTED["inner"][1]["deep"].append(1)
    NESTED["number"] += 1
    NESTED["new"] = 1
    return self.net(x)


def keeps_tallies(self, x):
    COUNTS["a"] += 1
    DEFAULTS["rows"].append(len(x))
    ORDERED.move_to_end("a")
    QUEUE.append(3)
    QUEUE.append(4)
    return self.net(x)


def keeps_arrays(self, x):
    PLAIN.add_(1)
    ARRAY[1] += 1
    OPTIONS.width += 1
    OPTIONS.names.append("b")
    return self.net(x)


def calls_a_helper(self, x):
    HELPERS.note(1)
    HELPERS.TIMES += 1
    return self.net(x)


def counts_of_its_own(self, x):
    rows = 0

    def count():
        nonlocal rows
        rows += 1

    count()
    return self.net(x) * rows


@pytest.mark.parametrize(
    "forward",
    [keeps_a_meter, keeps_nested, keeps_tallies, keeps_arrays, calls_a_helper, counts_of_its_own],
)
def test_what_has_a_plain_state_is_put_back(forward):
    given = subject(Lambda(forward, net=mlp()))
    before = seen()
    found = modes(given)
    assert not isinstance(found, Unmeasured), found
    assert seen() == before


def test_classes_are_put_back():
    given = subject(Classy())
    before = seen()
    assert not isinstance(modes(given), Unmeasured)
    assert seen() == before


def writes_a_file(self, x):
    LINES.write("a line")
    return self.net(x)


def draws_by_its_own(self, x):
    return self.net(x) + torch.rand(CLASSES, generator=DRAWS)


def draws_by_numpy(self, x):
    return self.net(x) + float(NUMPYS.random())


def iterates(self, x):
    return self.net(x) + next(ORDER)


def works_with_odd_keys(self, x):
    ODD_KEYS[Odd()] = 1
    return self.net(x)


def works_with_odd_items(self, x):
    return self.net(x) + len(ODD_ITEMS)


def works_with_a_table(self, x):
    return self.net(x) + len(TABLE)


def works_with_slots(self, x):
    SLOTTED.count += 1
    return self.net(x)


def works_with_listed_modules(self, x):
    return self.net(MODULES[0](x))


def works_with_a_free_weight(self, x):
    return self.net(x * SCALE)


def works_with_a_proxy(self, x):
    return self.net(x) if PROXY is not None else x


def holds_a_lock(self, x):
    with LOCK:
        return self.net(x)


@pytest.mark.parametrize(
    ("forward", "because"),
    [
        (writes_a_file, "StringIO"),
        (draws_by_its_own, "Generator"),
        (draws_by_numpy, "Generator"),
        (iterates, "range_iterator"),
        (works_with_odd_keys, "keys"),
        (works_with_a_table, "Table"),
        (works_with_slots, "Slotted"),
        (works_with_listed_modules, "another module"),
        (works_with_a_free_weight, "gradient"),
        (works_with_a_proxy, "Proxy"),
        (holds_a_lock, "lock"),
    ],
)
def test_what_has_not_is_refused_before_anything_runs(forward, because):
    model = Lambda(forward, net=mlp())
    before = seen()
    with pytest.raises(CannotMeasure, match=because):
        Outside(model, functions_of(model))
    assert seen() == before


def test_items_are_compared_by_identity_alone():
    given = subject(Lambda(works_with_odd_items, net=mlp()))
    assert not isinstance(modes(given), Unmeasured)


def test_a_part_that_is_called_by_another_name_is_read_too():
    class Part(nn.Module):
        def encode(self, x):
            global PARTS  # noqa: PLW0603
            PARTS += 1
            return x

    model = Lambda(lambda self, x: self.net(self.part.encode(x)), part=Part(), net=mlp())
    with pytest.raises(CannotMeasure, match="assigns to PARTS"):
        Outside(model, functions_of(model))


PARTS = 0


def test_one_value_that_cannot_be_put_back_does_not_keep_the_others_from_it():
    def forward(self, x):
        METER.count += 1
        return self.net(x)

    model = Lambda(forward, net=mlp())
    outside = Outside(model, functions_of(model))
    outside._keeper._undo.append(lambda: 1 / 0)
    METER.count += 5
    was = METER.count - 5
    outside.restore()
    assert METER.count == was
