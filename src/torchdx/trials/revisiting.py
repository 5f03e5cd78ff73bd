"""What runs in the process that asks about curvature in a recorded run.

    torchdx.trials.revisiting:main SPEC.json

The program is started again as a trial starts it: in a scratch folder, seeded as it seeds itself.
At the step asked for, between forward and backward, weights are put in where a file was given, the
questions are asked, and the process ends.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torchdx.boot import program
from torchdx.boot.session import Options, Session
from torchdx.errors import CallError
from torchdx.trials.redirecting import Redirecting
from torchdx.trials.surroundings import stay_offline


def main(path: str) -> int:
    """Run the program of a file up to a step; returns an exit status."""
    spec = json.loads(Path(path).read_text())
    revisit = _Revisit(spec)
    try:
        status = revisit.run()
    except CallError as error:
        revisit.write({"error": str(error)})
        return 0
    revisit.write({"ended": status, "made": revisit.made})
    revisit.rest()
    return 0


class _Revisit:
    """One program, started again."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self._open, self._rename, self._exit = open, os.replace, os._exit
        self._raised = ""
        self._session: Any = None
        self._redirecting: Redirecting | None = None

    def run(self) -> int:
        spec, scratch = self.spec, Path(self.spec["scratch"])
        os.chdir(scratch)
        self._observe()
        own = Path(spec["record"]).parent, Path(os.environ["TMPDIR"])
        self._redirecting = Redirecting(scratch, own)
        import torch  # noqa: PLC0415  # from here on

        self._redirecting.torch_too(torch)
        self._redirecting.begin()
        stay_offline()
        sys.excepthook = self._raising
        target, *rest = spec["argv"]
        if not spec["module"]:
            target = str(Path(spec["cwd"]) / target)
        return program.run(program.Program(target, spec["module"], tuple(rest)))

    def rest(self) -> None:
        """There is nothing to be judged at the end."""
        self._session.cancel()

    @property
    def made(self) -> int:
        """Steps that the program has made."""
        observer = None if self._session is None else self._session.observer
        return 0 if observer is None else int(observer.recorder.steps)

    def _observe(self) -> None:
        from torchdx.treatments.site import Site  # noqa: PLC0415  # with torch
        from torchdx.trials import checkpoint  # noqa: PLC0415
        from torchdx.trials.intercepting import Interceptor  # noqa: PLC0415
        from torchdx.trials.seeding import Seeding  # noqa: PLC0415

        spec = self.spec
        given = checkpoint.read(spec["checkpoint"]) if spec["checkpoint"] else None
        site = Site()
        Seeding(site, 0, reseed=False)
        folder = spec["cwd"] if spec["module"] else str(Path(spec["cwd"], spec["argv"][0]).parent)
        facts = {"argv": spec["argv"], "module": spec["module"], "folder": folder, "trial": True}
        self._session = Session(Path(spec["record"]), Options(quiet=True), facts)
        self._session.begin()
        observer = self._session.observer
        site.begin(observer.recorder.record)
        end: Callable[[dict[str, Any]], None] = self._over
        observer.listen(Interceptor(spec["step"], spec["top"], given, observer, end))

    def _over(self, result: dict[str, Any]) -> None:
        """The questions have been asked, or cannot be: nothing of the program runs after."""
        self.write(result)
        self._exit(0)

    def _raising(self, kind: type[BaseException], error: BaseException, trace: Any) -> None:
        self._raised = f"{kind.__name__}: {error}"[:500]
        traceback.print_exception(kind, error, trace)

    def write(self, result: dict[str, Any]) -> None:
        """The result in one piece, or not at all."""
        elsewhere = [] if self._redirecting is None else self._redirecting.written
        place = self.spec["result"]
        with self._open(place + ".part", "w") as file:
            json.dump({"raised": self._raised, "elsewhere": elsewhere, **result}, file)
        self._rename(place + ".part", place)
