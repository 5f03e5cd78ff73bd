"""Runs the arms of a trial, each in a fresh process, and gathers what they show.

Arms go through joblib: on this machine by default, on a Dask or Ray cluster inside
`joblib.parallel_config(backend=...)`, where the folder of the trial must be seen by all. An arm
that is done is kept and not run again, so that an interrupted trial goes on where it ended.
"""

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]  # it ships no types

from torchdx.boot.nursery import Birth, Nursery, kill
from torchdx.errors import CallError
from torchdx.trials.measures import Measure, choose
from torchdx.trials.plan import AGAIN, AS_IS, LEAST_S, STALLED, TREATED, Arm, Plan, key
from torchdx.trials.surroundings import OFFLINE, show
from torchdx.trials.verdict import Outcome, Verdict, judge, settled

TAIL = 2_000  # characters of stderr that are kept of a failed arm

_RUNNING: set[int] = set()
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Run:
    """One arm with one seed, done.

    scores  by name (`torchdx.trials.measures`); `codes`: what was found in it
    wall_s  of the whole process, its start included
    error   of the program, empty where it ended well
    stalled whether it was set aside for taking too long
    losses  a digest of all its losses
    """

    arm: str
    seed: int
    scores: Mapping[str, float]
    codes: tuple[str, ...]
    wall_s: float
    steps: int
    acted: int
    error: str = ""
    stalled: bool = False
    elsewhere: tuple[str, ...] = ()
    losses: str = ""


@dataclass
class Trial:
    """What has been run of a plan until now, and what follows.

    ended        why it ended early, empty where it did not
    interrupted  whether a person ended it
    """

    plan: Plan
    folder: Path
    runs: list[Run] = field(default_factory=list)
    ended: str = ""
    interrupted: bool = False
    measure: Measure | None = None
    began: float = field(default_factory=time.monotonic)

    def add(self, run: Run) -> None:
        """Take one run in; the first as it is fixes the measure."""
        self.runs.append(run)
        if self.measure is None and run.arm == AS_IS:
            treatment = self.plan.treatment
            self.measure = choose(
                treatment.judged_on, {"scores": run.scores}, redefines=treatment.redefines
            )

    def values(self, arm: str) -> dict[int, float]:
        """Seed -> the measure, of the runs of an arm that have it."""
        if self.measure is None:
            return {}
        own = (r for r in self.runs if r.arm == arm and self.measure.key in r.scores)
        return {r.seed: r.scores[self.measure.key] for r in own}

    @property
    def noise(self) -> float:
        """Largest difference of the measure between two runs as it is with one seed."""
        first, again = self.values(AS_IS), self.values(AGAIN)
        return max((abs(first[s] - again[s]) for s in again if s in first), default=0.0)

    @property
    def repeats(self) -> bool | None:
        """Whether the program, run twice, has the very same losses; None: not known yet."""
        seed = self.plan.seeds[0]
        pair = [r.losses for r in self.runs if r.seed == seed and r.arm in {AS_IS, AGAIN}]
        return pair[0] == pair[1] if len(pair) > 1 else None

    @property
    def outcome(self) -> Outcome | None:
        """The numbers that a verdict rests on, None where nothing could be measured."""
        if self.measure is None:
            return None
        arms = [arm.name for arm in self.plan.arms]
        own = {name: [r for r in self.runs if r.arm == name] for name in arms}
        return Outcome(
            measure=self.measure,
            values={name: self.values(name) for name in arms},
            fired={n: {r.seed: self.plan.code in r.codes for r in rs} for n, rs in own.items()},
            noise=self.noise,
            acted=any(r.acted for r in own[TREATED]),
            controls=tuple(arm.name for arm in self.plan.arms if arm.control),
        )

    @property
    def verdict(self) -> Verdict | None:
        """None where nothing could be measured."""
        return None if self.outcome is None else judge(self.outcome)


Told = Callable[[Trial, Run, int], None]


def run(  # noqa: PLR0913  # each is an option of the command
    plan: Plan,
    folder: Path,
    *,
    jobs: int = 1,
    told: Told = lambda *_: None,
    keep: bool = False,
    to_the_end: bool = False,
) -> Trial:
    """Run a plan's arms, seed by seed, each seed's side by side.

    Args:
        plan: what to run.
        folder: where arms, records and scratch folders go; what is there already is taken.
        jobs: processes at once.
        told: called after each run with the trial, the run, and how many are left.
        keep: whether scratch folders stay.
        to_the_end: whether all seeds are run even when no verdict can follow.

    Raises:
        CallError: the folder cannot be written.
    """
    folder = folder.absolute()
    trial = Trial(plan, folder)
    _prepare(folder)
    left = list(plan.runs)
    limit: float | None = None
    try:
        while left and not trial.ended:
            seed = left[0][1]
            wave, left = [r for r in left if r[1] == seed], [r for r in left if r[1] != seed]
            for done in _wave(plan, folder, wave, jobs, limit, keep=keep):
                trial.add(done)
                told(trial, done, len(left) + len(wave) - len(_of(trial, seed)))
            limit = limit or _limit(trial)
            left += _repeats(trial, left, seed)
            trial.ended = "" if to_the_end else next(_reasons(trial), "")
    except KeyboardInterrupt:
        trial.interrupted = True
        trial.ended = "interrupted; the same command goes on from here"
    finally:
        _end_all()
    return trial


def _of(trial: Trial, seed: int) -> list[Run]:
    return [r for r in trial.runs if r.seed == seed]


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").write_bytes(b"x" * 4096)
        (folder / ".writable").unlink()
    except OSError as error:
        msg = f"a trial keeps its runs in {folder}, which cannot be written: {error.strerror}."
        raise CallError(msg) from None


def _limit(trial: Trial) -> float | None:
    """Seconds that further arms may take, by the slowest as it is."""
    took = [r.wall_s for r in trial.runs if r.arm in {AS_IS, AGAIN}]
    return max(LEAST_S, STALLED * max(took)) if took else None


def _repeats(trial: Trial, left: list[tuple[Arm, int]], seed: int) -> list[tuple[Arm, int]]:
    """Where two runs of the same differ, every seed is run twice as it is."""
    if seed != trial.plan.seeds[0] or trial.repeats is not False:
        return []
    return [(Arm(AGAIN), other) for other in dict.fromkeys(s for _, s in left)]


def _reasons(trial: Trial) -> Iterator[str]:
    """Why the trial ends here, if it does: by rules stated before it began."""
    plan, outcome = trial.plan, trial.outcome
    broken = [r for r in trial.runs if r.arm == AS_IS and r.error]
    if broken and not any(r.steps for r in broken):
        yield f"the program does not run: {broken[0].error}"
    if plan.max_minutes and time.monotonic() - trial.began > 60 * plan.max_minutes:
        yield f"--max-minutes {plan.max_minutes:g} are over"
    if outcome is None:
        yield "nothing could be measured that the treatment leaves as it is"
        return
    told = outcome.fired[AS_IS]
    if len(told) > 1 and not any(told.values()):
        yield "not reproduced in two runs as it is"
    if not outcome.acted:
        yield "the treatment found nothing to act on"
    if settled(outcome, len(plan.seeds)):
        yield "the seeds disagree, and those left cannot change that"


def _wave(  # noqa: PLR0913
    plan: Plan,
    folder: Path,
    wave: list[tuple[Arm, int]],
    jobs: int,
    limit: float | None,
    *,
    keep: bool,
) -> Iterator[Run]:
    calls = (
        joblib.delayed(run_arm)(plan.spec(arm, seed), str(folder), limit, keep=keep)
        for arm, seed in wave
    )
    done = joblib.Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")(calls)
    yield from map(gathered, done)


def run_arm(
    spec: dict[str, Any], folder: str, limit_s: float | None, *, keep: bool = False
) -> dict[str, Any]:
    """Run one arm in a process of its own, or take what it left when it ran before.

    Returns what its child wrote, with `wall_s`, `record` and, where it failed, `error`.
    """
    home = Path(folder) / f"{key(spec)}"
    kept = home / "result.json"
    if kept.exists():
        known: dict[str, Any] = json.loads(kept.read_text())
        if not known.get("error"):
            return known
    scratch = home / "scratch"
    shutil.rmtree(home, ignore_errors=True)
    show(Path(spec["cwd"]), scratch)
    files = {"record": home / "run.dx", "result": home / "child.json", "scratch": scratch}
    told = home / "spec.json"
    told.write_text(json.dumps({**spec, **{k: str(v) for k, v in files.items()}}))
    began = time.monotonic()
    ended = _child(told, home, spec, limit_s)
    result: dict[str, Any] = {"arm": spec["arm"], "seed": spec["seed"], **ended}
    with contextlib.suppress(OSError, ValueError):
        result = {**json.loads(files["result"].read_text()), **ended}
    result |= {"wall_s": time.monotonic() - began, "record": str(files["record"])}
    if not files["result"].exists() and not result.get("error"):
        result["error"] = _last_words(home) or "its process ended without a result"
    if not keep:
        shutil.rmtree(scratch, ignore_errors=True)
    kept.write_text(json.dumps(result))
    return result


def _child(told: Path, home: Path, spec: dict[str, Any], limit_s: float | None) -> dict[str, Any]:
    """Start the process of an arm and wait for its end."""
    out, err = str(home / "out.txt"), str(home / "err.txt")
    own = {"TMPDIR": str(_own(home / "tmp"))}
    birth = Birth("torchdx.trials.child:main", str(told), spec["cwd"], out, err, own)
    with Nursery.lent(OFFLINE) as nursery:
        pid = nursery.begin(birth)
        with _LOCK:
            _RUNNING.add(pid)
        try:
            status = nursery.wait(limit_s)
        except TimeoutError:
            kill(pid)
            nursery.wait(None)
            return {"error": f"set aside after {limit_s:.0f} s", "stalled": True}
        finally:
            kill(pid)  # and what it left behind
            with _LOCK:
                _RUNNING.discard(pid)
    return {"error": f"ended by signal {-status}"} if status < 0 else {}


def _own(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _end_all() -> None:
    with _LOCK:
        for pid in _RUNNING:
            kill(pid)


def _last_words(home: Path) -> str:
    lines = (home / "err.txt").read_text(errors="replace")[-TAIL:].strip().splitlines()
    return lines[-1] if lines else ""


def gathered(result: Mapping[str, Any]) -> Run:
    """One run as the trial keeps it."""
    stalled = bool(result.get("stalled"))
    return Run(
        arm=result["arm"],
        seed=result["seed"],
        scores={} if stalled else result.get("scores") or {},
        codes=tuple(result.get("codes", ())),
        wall_s=result["wall_s"],
        steps=result.get("made", 0),
        acted=result.get("acted", 0),
        error=result.get("error", ""),
        stalled=stalled,
        elsewhere=tuple(result.get("elsewhere", ())),
        losses=result.get("losses", ""),
    )
