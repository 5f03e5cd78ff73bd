"""CPU seconds of this process; what is compared is measured in turn."""

import random
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any


def seconds(work: Callable[[], Any]) -> float:
    """CPU seconds of one call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def in_turn(works: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each, in every round in another order; the first round warms up."""
    took: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        names = list(works)
        random.Random(number).shuffle(names)  # noqa: S311  # an order, no secret
        for name in names:
            spent = seconds(works[name])
            if number:
                took[name].append(spent)
    return took


def ratio(took: list[float], base: list[float]) -> float:
    """Of the medians."""
    return median(took) / median(base)
