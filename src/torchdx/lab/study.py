"""What a study is: a published finding, the claims that it comes down to, and how it is run again.

Claims are declared before anything is run: what is measured, in which direction, and how much of it
counts. Every study has a negative control, a claim that has to come out null.
"""

import importlib
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from torchdx.errors import CallError
from torchdx.lab.rows import Row, Rows
from torchdx.report.charts.base import Figure

Direction = Literal["above", "below", "equal"]
Size = Literal["quick", "full"]
SIZES: tuple[Size, ...] = ("quick", "full")

_KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One measurable sentence of a finding.

    name       kebab-case, once in its study
    sentence   what is claimed, as its author would say it
    statistic  a number from the rows of one seed; the effect is its mean over seeds. A number that
               is not finite leaves its seed out, and the claim says so
    direction  where the effect is said to lie: `above` target + delta, `below` target - delta, or
               `equal` to the target, within delta
    target     what the effect is held against
    delta      the smallest difference from the target that counts, in the unit
    unit       of the effect
    published  the number of the source, None where it gives none
    items      the column of the rows that are drawn again inside a seed (test images, ...), where
               the claim is about others like them too; rows of one item stay together, so that arms
               are compared on the same items
    seeds      the column that is drawn first
    control    whether this is a negative control: as declared means null, as it has to be
    """

    name: str
    sentence: str
    statistic: Callable[[Rows], float]
    direction: Direction
    delta: float
    unit: str
    target: float = 0.0
    published: float | None = None
    items: str = ""
    seeds: str = "seed"
    control: bool = False


@dataclass(frozen=True, kw_only=True)
class Study:
    """A finding that can be run again.

    name     kebab-case, that of its file
    source   who found it, and where; `paper`: what that rests on, empty where on nothing
    setting  in which setting it is run here, and what differs from the source's
    amended  what was laid down anew after rows had been looked at, and why; empty where nothing
    run      yields the rows of one seed; all that it draws comes from the seed
    figure   a chart of the rows of all seeds
    seeds    how many are run by default, by size
    """

    name: str
    title: str
    source: str
    claims: tuple[Claim, ...]
    run: Callable[[Size, int], Iterable[Row]]
    figure: Callable[[Rows], Figure]
    paper: str = ""
    setting: str = ""
    amended: str = ""
    seeds: Mapping[Size, int] = field(default_factory=lambda: {"quick": 10, "full": 10})

    def __post_init__(self) -> None:
        names = [claim.name for claim in self.claims]
        for name in (self.name, *names):
            if not _KEBAB.fullmatch(name):
                msg = f"study {self.name!r}: {name!r} is no name in kebab-case."
                raise CallError(msg)
        if len(set(names)) < len(names):
            msg = f"study {self.name!r} has two claims of one name: {', '.join(names)}."
            raise CallError(msg)
        if len({claim.control for claim in self.claims}) < 2:  # noqa: PLR2004  # both kinds
            msg = f"study {self.name!r} needs a claim and a negative control (control=True)."
            raise CallError(msg)

    @property
    def file(self) -> Path:
        """Where it is written down."""
        return Path(self.run.__code__.co_filename)


def study_names() -> list[str]:
    """Of all studies that come with torchdx."""
    from torchdx.lab import studies  # noqa: PLC0415  # a folder, read when it is asked for

    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(studies.__path__))


def find_study(name: str) -> Study:
    """By its name, or by the file that it is written in.

    Raises:
        CallError: there is none, or the file holds none.
    """
    if name.endswith(".py"):
        return _from_file(Path(name).resolve())
    known = study_names()
    if name not in known:
        near = [other for other in known if name in other or other in name]
        listed = ", ".join(near or known)
        msg = f"there is no study {name!r}. There {'is' if len(near) == 1 else 'are'}: {listed}."
        raise CallError(msg)
    module = importlib.import_module(f"torchdx.lab.studies.{name.replace('-', '_')}")
    found: Study = module.STUDY
    return found


@cache
def _from_file(path: Path) -> Study:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        msg = f"there is no file {path} to read a study from."
        raise CallError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    found = getattr(module, "STUDY", None)
    if not isinstance(found, Study):
        msg = f"{path} holds no study: it has to set STUDY = Study(...)."
        raise CallError(msg)
    return found
