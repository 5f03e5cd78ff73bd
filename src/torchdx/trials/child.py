"""What runs in the process of one arm: the program, treated, watched, and examined at its end.

    python -m torchdx.trials.child SPEC.json

`SPEC.json` is what `Plan.spec` gives, with `scratch`, `record` and `result`: the folder that the
program runs in, and the files that are written.
"""

import hashlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from torchdx.boot import program
from torchdx.boot.session import Options, Session
from torchdx.errors import CallError
from torchdx.rules.base import Prescription
from torchdx.trials import measures
from torchdx.trials.redirecting import Redirecting
from torchdx.trials.surroundings import limit_memory, stay_offline


def main(path: str) -> int:
    """Run the arm of a file; returns the program's own status."""
    spec = json.loads(Path(path).read_text())
    arm = _Arm(spec)
    try:
        status = arm.run()
    except CallError as error:
        print(f"torchdx: {error}", file=sys.stderr)  # noqa: T201
        status = 2
        arm.result["error"] = str(error)
    arm.write(status)
    return status


class _Arm:
    """One arm at work."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.result: dict[str, Any] = {"arm": spec["arm"], "seed": spec["seed"]}
        self._written = False
        self._open = open  # before it is redirected

    def run(self) -> int:
        spec, scratch = self.spec, Path(self.spec["scratch"])
        limit_memory(spec["memory_gb"])
        os.chdir(scratch)
        own = Path(spec["record"]).parent, Path(os.environ["TMPDIR"])
        self._redirecting = Redirecting(scratch, own)
        self._observe()
        self._redirecting.begin()
        stay_offline()
        status = self._program()
        self._over(status)
        return status

    def _over(self, status: int) -> None:
        """The program has ended, or is about to: by `os._exit`, or for it catches every end."""
        self._examine()
        self._session.ended_with(status)
        self._judge()
        self.write(status)

    def _judge(self) -> None:
        """End the observation: what was found, and what the record measured besides."""
        self._session.end()
        observer = self._session.observer
        if observer.failure is not None:
            self.result["error"] = f"torchdx stopped watching: {observer.failure}"
        record = observer.recorder.record
        told = self._session.diagnosis
        found = [] if told is None else [*told.findings, *(symptom for symptom, _ in told.silenced)]
        losses = repr([loss for _, loss in record.losses])
        self.result["codes"] = [finding.code for finding in found]
        self.result["sick"] = [finding.code for finding in found if finding.severity != "note"]
        self.result["losses"] = hashlib.sha256(losses.encode()).hexdigest()
        self.result["scores"] |= measures.from_record(record)

    def _observe(self) -> None:
        """Open the site, and watch what runs there."""
        import torch  # noqa: PLC0415  # from here on

        from torchdx.treatments.base import all_treatments  # noqa: PLC0415
        from torchdx.treatments.site import Site  # noqa: PLC0415
        from torchdx.trials.examiner import Examiner  # noqa: PLC0415
        from torchdx.trials.seeding import Seeding  # noqa: PLC0415
        from torchdx.trials.stopping import Stopping  # noqa: PLC0415

        spec = self.spec
        self._redirecting.torch_too(torch)
        self._site = Site()
        Seeding(self._site, spec["seed"], reseed=spec["reseed"])
        known = all_treatments()
        for stated in spec["prescriptions"]:
            prescription = Prescription(**stated)
            known[prescription.change].install(self._site, prescription)
        folder = str(Path(spec["cwd"])) if spec["module"] else self._folder()
        facts = {"argv": spec["argv"], "module": spec["module"], "folder": folder, "trial": True}
        options = Options(quiet=True, budget=spec["budget"])
        self._session = Session(Path(spec["record"]), options, facts)
        self._session.begin()
        self._site.begin(self._session.observer.recorder.record)
        self._session.observer.on_exit = self._over
        self._examiner = Examiner(spec["examined"])
        self._session.observer.listen(self._examiner)
        self._stopping = Stopping(self._site, spec["steps"], lambda: self._over(0))

    def _folder(self) -> str:
        return str((Path(self.spec["cwd"]) / self.spec["argv"][0]).resolve().parent)

    def _program(self) -> int:
        """Run it; what it raises is kept for the table."""
        target, *rest = self.spec["argv"]
        if not self.spec["module"]:
            target = str(Path(self.spec["cwd"]) / target)
        began, used = time.monotonic(), time.thread_time()
        sys.excepthook = self._raised
        status = program.run(program.Program(target, self.spec["module"], tuple(rest)))
        self.result |= {"seconds": time.monotonic() - began, "cpu_s": time.thread_time() - used}
        return 0 if self._stopping.raised else status

    def _raised(self, kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if self._stopping.raised:
            return
        self.result["error"] = f"{kind.__name__}: {error}"[:500]
        traceback.print_exception(kind, error, trace)

    def _examine(self) -> None:
        from torchdx.observer import resting  # noqa: PLC0415  # torch is there by now

        with resting():
            self.result["scores"] = self._examiner.examine()
        self.result["acted"] = self._site.acted
        self.result |= {"made": self._stopping.made, "stopped": self._stopping.raised > 0}
        self._site.close()

    def write(self, status: int) -> None:
        """The result in one piece, or not at all."""
        if self._written:
            return
        self._written = True
        self.result |= {"status": status, "elsewhere": self._redirecting.written}
        place = Path(self.spec["result"])
        partial = place.with_suffix(".part")
        with self._open(partial, "w") as file:
            json.dump(self.result, file)
        partial.rename(place)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
