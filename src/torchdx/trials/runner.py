"""Runs the arms of a trial, each in a fresh process, and gathers what they show.

Arms go through joblib: on this machine by default, on a Dask or Ray cluster inside
`joblib.parallel_config(backend=...)`, where the folder of the trial must be seen by all. An arm
that is done is kept and not run again, so that an interrupted trial goes on where it ended.
"""

import contextlib
import json
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]  # it ships no types

from torchdx.boot.nursery import Birth, Nursery, kill
from torchdx.errors import CallError, NurseryError
from torchdx.trials.measures import Measure, choose
from torchdx.trials.plan import AGAIN, AS_IS, LEAST_S, STALLED, TREATED, Arm, Plan, key
from torchdx.trials.surroundings import OFFLINE, show
from torchdx.trials.verdict import Outcome, Verdict, judge, settled

TAIL = 2_000  # characters of stderr that are kept of a failed arm

_RUNNING: set[int] = set()
_LOCK = threading.Lock()
_STOP = threading.Event()  # no arm is begun any more


@dataclass(frozen=True)
class Run:
    """One arm with one seed, done.

    scores  by name (`torchdx.trials.measures`); `codes`: what was found in it, symptoms too
    wall_s  of the whole process, its start included
    error   of the program, empty where it ended well; such a run has failed
    stalled whether it was set aside for taking too long
    losses  a digest of all its losses
    sick    those of `codes` that are no mere notes
    kept    whether it was run before, and is only taken up
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
    sick: tuple[str, ...] = ()
    kept: bool = False


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
            failed={n: frozenset(r.seed for r in rs if r.error) for n, rs in own.items()},
        )

    @property
    def went(self) -> list[str]:
        """Codes besides the finding's own that most runs as it is have, and no treated one."""
        return self._only(AS_IS, TREATED)

    @property
    def came(self) -> list[str]:
        """Codes that most treated runs have, and none as it is."""
        return self._only(TREATED, AS_IS)

    def _only(self, arm: str, other: str) -> list[str]:
        runs = {name: [r for r in self.runs if r.arm == name] for name in (arm, other)}
        if not runs[other]:
            return []
        counts = Counter(code for r in runs[arm] for code in r.sick)
        elsewhere = {code for r in runs[other] for code in r.codes} | {self.plan.code}
        return sorted(c for c, n in counts.items() if 2 * n > len(runs[arm]) and c not in elsewhere)

    @property
    def verdict(self) -> Verdict | None:
        """None where nothing could be measured."""
        return None if self.outcome is None else judge(self.outcome)

    @property
    def because(self) -> str:
        """What stands against a better word, and why the trial ended early; empty for neither."""
        verdict = self.verdict
        parts = [verdict.because] if verdict is not None and verdict.because else []
        if self.ended and not any(self.ended in part for part in parts):
            parts.append(self.ended)
        return "; ".join(parts)


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
    jobs = 1 if plan.treatment.judged_on == "speed" else jobs  # others would take time from it
    left = list(plan.runs)
    limit: float | None = None
    _STOP.clear()
    with _reserved(folder):
        try:
            while left and not trial.ended:
                wave = _wave(trial, left, whole=to_the_end)
                left = [run for run in left if run not in wave]
                ahead = len(left) + len(wave)
                for done in _side_by_side(trial, wave, jobs, limit or plan.seconds, keep=keep):
                    trial.add(done)
                    ahead -= 1
                    told(trial, done, ahead)
                limit = limit or _limit(trial)
                left += _repeats(trial, left)
                trial.ended = _over(trial) or ("" if to_the_end else next(_reasons(trial), ""))
        except KeyboardInterrupt:
            trial.interrupted = True
            trial.ended = "interrupted; the same command goes on from here"
        except OSError as error:
            msg = f"a trial keeps its runs in {folder}: {error.strerror or error}."
            raise CallError(msg) from None
        finally:
            _end_all()
    return trial


def _wave(trial: Trial, left: list[tuple[Arm, int]], *, whole: bool) -> list[tuple[Arm, int]]:
    """What is run next, side by side: a seed's arms; at first the program as it is alone.

    It comes twice, and where it does not show the finding, with the next seed, before any arm is.
    """
    seed = left[0][1]
    own = [run for run in left if run[1] == seed]
    if not trial.runs:
        return [run for run in own if run[0].name in {AS_IS, AGAIN}]
    told = [trial.plan.code in run.codes for run in trial.runs if run.arm == AS_IS]
    if len(told) == 1 and not any(told) and not whole:
        return [run for run in left if run[0].name == AS_IS][:1] or own
    return own


@contextlib.contextmanager
def _reserved(folder: Path) -> Iterator[None]:
    """The folder of a trial for this process alone."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").write_bytes(b"x" * 4096)
        (folder / ".writable").unlink()
        lock = (folder / ".lock").open("w")
    except OSError as error:
        msg = f"a trial keeps its runs in {folder}, which cannot be written: {error.strerror}."
        raise CallError(msg) from None
    with lock:
        try:
            _lock(lock)
        except OSError:
            msg = f"another `torchdx try` is at work in {folder}: wait for its end, or end it."
            raise CallError(msg) from None
        yield


def _lock(file: Any) -> None:
    """Until the file is closed or this process ends; not on Windows."""
    with contextlib.suppress(ImportError):
        import fcntl  # noqa: PLC0415

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _limit(trial: Trial) -> float | None:
    """Seconds that further arms may take, by the slowest as it is."""
    took = [r.wall_s for r in trial.runs if r.arm in {AS_IS, AGAIN}]
    return max(LEAST_S, STALLED * max(took)) if took else None


def _repeats(trial: Trial, left: list[tuple[Arm, int]]) -> list[tuple[Arm, int]]:
    """Where two runs of the same differ, every seed is run twice as it is."""
    timed = trial.plan.treatment.judged_on == "speed"
    planned = {s for arm, s in left if arm.name == AGAIN} | _again(trial)
    if not timed and trial.repeats is not False:
        return []
    return [(Arm(AGAIN), seed) for seed in trial.plan.seeds if seed not in planned]


def _again(trial: Trial) -> set[int]:
    return {run.seed for run in trial.runs if run.arm == AGAIN}


def _over(trial: Trial) -> str:
    minutes = trial.plan.max_minutes
    if minutes and time.monotonic() - trial.began >= 60 * minutes:
        return f"no run begins after --max-minutes {minutes:g}"
    return ""


def _reasons(trial: Trial) -> Iterator[str]:
    """Why the trial ends here, if it does: by rules stated before it began."""
    plan, outcome = trial.plan, trial.outcome
    broken = [r for r in trial.runs if r.arm == AS_IS and r.error]
    if broken and not any(r.steps for r in broken):
        yield f"the program does not run: {broken[0].error}"
    if outcome is None:
        yield "nothing could be measured that the treatment leaves as it is"
        return
    told = outcome.fired[AS_IS]
    if len(told) >= min(2, len(plan.seeds)) and not any(told.values()):
        yield "not reproduced"
    if outcome.fired[TREATED] and not outcome.acted:
        yield "the treatment found nothing to act on"
    if settled(outcome, len(plan.seeds)):
        yield "no seed that is left can change that"


def _side_by_side(
    trial: Trial, wave: list[tuple[Arm, int]], jobs: int, limit: float, *, keep: bool
) -> Iterator[Run]:
    plan = trial.plan
    until = None
    if plan.max_minutes:
        until = time.time() + 60 * plan.max_minutes - (time.monotonic() - trial.began)
    calls = (
        joblib.delayed(run_arm)(plan.spec(arm, seed), str(trial.folder), limit, until, keep=keep)
        for arm, seed in wave
    )
    done = joblib.Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")(calls)
    yield from (gathered(result) for result in done if result)


def run_arm(
    spec: dict[str, Any],
    folder: str,
    limit_s: float | None,
    until: float | None = None,
    *,
    keep: bool = False,
) -> dict[str, Any]:
    """Run one arm in a process of its own, or take what it left when it ran before.

    Returns what its child wrote, with `wall_s`, and where it failed, `error`; nothing when it is
    later than `until` (seconds since 1970).
    """
    home = Path(folder) / f"{key(spec)}"
    kept = home / "result.json"
    with contextlib.suppress(OSError, ValueError):
        known: dict[str, Any] = json.loads(kept.read_text())
        if not known.get("error"):
            return {**known, "kept": True}
    if _STOP.is_set() or (until is not None and time.time() >= until):
        return {}
    scratch = home / "scratch"
    shutil.rmtree(home, ignore_errors=True)
    show(Path(spec["cwd"]), scratch)
    files = {"record": home / "run.dx", "result": home / "child.json", "scratch": scratch}
    told = home / "spec.json"
    told.write_text(json.dumps({**spec, **{k: str(v) for k, v in files.items()}}))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dx-") as own:  # a socket's path must be short
        ended = _child(told, home, spec, limit_s, own)
    result: dict[str, Any] = {"arm": spec["arm"], "seed": spec["seed"]}
    with contextlib.suppress(OSError, ValueError):
        result |= json.loads(files["result"].read_text())
    result |= {**ended, "wall_s": time.monotonic() - began}
    if not result.get("error"):
        result |= _unhappy(result, home)
    if not keep:
        shutil.rmtree(scratch, ignore_errors=True)
        for shard in home.glob("run*.dx"):
            shard.unlink()
    partial = home / "result.part"
    partial.write_text(json.dumps(result))
    partial.rename(kept)
    return result


def _unhappy(result: Mapping[str, Any], home: Path) -> dict[str, str]:
    """What is wrong with a run that told no error: no result, or a status that is not 0."""
    if "status" not in result:
        return {"error": _last_words(home) or "its process ended without a result"}
    if result["status"]:
        return {"error": f"it ended with status {result['status']}"}
    return {}


def _child(
    told: Path, home: Path, spec: dict[str, Any], limit_s: float | None, own: str
) -> dict[str, Any]:
    """Start the process of an arm and wait for its end."""
    out, err = str(home / "out.txt"), str(home / "err.txt")
    birth = Birth("torchdx.trials.child:main", str(told), spec["cwd"], out, err, {"TMPDIR": own})
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(spec["threads"]))
    with Nursery.lent({**OFFLINE, **threads}, ("torchdx.trials.ready",)) as nursery:
        pid = nursery.begin(birth)
        with _LOCK:
            _RUNNING.add(pid)
        try:
            status = nursery.wait(limit_s)
        except TimeoutError:
            kill(pid)
            nursery.wait(None)
            return {"error": f"set aside after {limit_s:.0f} s", "stalled": True}
        except NurseryError as error:
            return {"error": str(error)}
        finally:
            kill(pid)  # and what it left behind
            with _LOCK:
                _RUNNING.discard(pid)
    return {"error": f"ended by signal {-status}"} if status < 0 else {}


def _end_all() -> None:
    _STOP.set()
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
        sick=tuple(result.get("sick", ())),
        kept=bool(result.get("kept")),
    )
