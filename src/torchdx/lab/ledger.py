"""From kept rows to verdicts: all claims of all studies, as plain data, and as Markdown.

A claim that was not reproduced stays in it, and so does a study of which seeds failed.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchdx.errors import CallError
from torchdx.lab.statistics import Interval, Judged, judge
from torchdx.lab.store import Kept, load
from torchdx.lab.study import SIZES, Claim, Size, Study
from torchdx.report.charts.base import Figure

Json = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """One study in one size, judged."""

    study: Study
    size: Size
    kept: Kept
    judged: tuple[Judged, ...]
    figure: Figure | None

    @property
    def doubt(self) -> str:
        """Why the verdicts are not to be trusted; empty where every negative control is null."""
        controls = {j.word for j in self.judged if j.claim.control}
        if "not reproduced" in controls:
            return "A negative control is not null: the other verdicts are not to be trusted."
        if "inconclusive" in controls:
            return "A negative control is inconclusive: the other verdicts are provisional."
        return ""


def entries(studies: Iterable[Study], folder: Path) -> Iterator[Entry]:
    """What there are rows of, in the order of the studies."""
    for study in studies:
        for size in SIZES:
            kept = load(folder, study, size)
            if kept is not None and (kept.done or kept.failed):
                judged = tuple(judge(claim, kept.rows) for claim in study.claims)
                figure = _drawn(study, kept) if kept.done else None
                yield Entry(study, size, kept, judged, figure)


def _drawn(study: Study, kept: Kept) -> Figure:
    try:
        return study.figure(kept.rows)
    except (LookupError, ValueError, TypeError, ArithmeticError) as error:
        msg = f"the figure of {study.name} cannot be drawn: {type(error).__name__}: {error}."
        raise CallError(msg) from error


def as_object(entry: Entry) -> Json:
    """What the ledger says of a study, in plain data and words: what pages are made from."""
    study, kept = entry.study, entry.kept
    return {
        "name": study.name,
        "size": entry.size,
        "title": study.title,
        "source": study.source,
        "paper": study.paper,
        "setting": study.setting,
        "amended": study.amended,
        "doubt": entry.doubt,
        "seeds": len(kept.done),
        "rows": len(kept.rows),
        "cpu_s": kept.cpu_s,
        "failed": [{"seed": seed.seed, "error": seed.error} for seed in kept.failed],
        "stale": kept.stale,
        "versions": kept.done[0].versions if kept.done else {},
        "claims": [_claim(j, len(kept.done) + len(kept.failed)) for j in entry.judged],
    }


def _claim(judged: Judged, asked: int) -> Json:
    claim, effect = judged.claim, judged.effect
    few = "" if effect.seeds == asked else f" of {asked}"
    return {
        "name": claim.name,
        "sentence": claim.sentence,
        "control": claim.control,
        "declared": declared(claim),
        "published": "" if claim.published is None else _number(claim.published),
        "ours": _number(effect.mean),
        "interval": _interval(effect),
        "unit": claim.unit,
        "verdict": word(judged),
        "because": judged.because,
        "seeds": f"{effect.seeds}{few}",
    }


def word(judged: Judged) -> str:
    """The verdict; of a negative control, whether it came out null."""
    if not judged.claim.control:
        return judged.word
    return {"reproduced": "null", "not reproduced": "not null"}.get(judged.word, judged.word)


def declared(claim: Claim) -> str:
    """What was laid down before the run: `above 0 by more than 0.2 nats`."""
    unit = claim.unit if claim.unit.startswith("-") or not claim.unit else f" {claim.unit}"
    target, delta = _number(claim.target), _number(claim.delta)
    if claim.direction == "equal":
        return f"{target}{unit}, within {delta}" if claim.delta else f"exactly {target}{unit}"
    if not claim.delta:
        return f"{claim.direction} {target}{unit}"
    return f"{claim.direction} {target} by more than {delta}{unit}"


def counted(told: Iterable[Json]) -> str:
    """`9 claims: 7 reproduced, 1 not reproduced, 1 inconclusive; 3 of 3 controls null`."""
    claims = [claim for study in told for claim in study["claims"]]
    words = Counter(c["verdict"] for c in claims if not c["control"])
    controls = [c["verdict"] for c in claims if c["control"]]
    kinds = ", ".join(
        f"{words[kind]} {kind}" for kind in ("reproduced", "not reproduced", "inconclusive")
    )
    null = controls.count("null")
    return f"{words.total()} claims: {kinds}; {null} of {len(controls)} negative controls null"


def as_markdown(told: list[Json], pictures: dict[str, str]) -> str:
    """The ledger as a document; `pictures`: study and size, as `name-size` -> where one lies."""
    parts = [
        "# Ledger",
        "",
        "Made by `torchdx lab report -o docs/ledger.md`. Each claim was declared before its study",
        "was run, with the smallest effect that counts; the verdict follows from the 95 % interval",
        "over seeds alone ([lab.md](lab.md)). What was not reproduced stays here.",
        "",
        counted(told).capitalize() + ".",
        "",
        *(line for study in told for line in _section(study, pictures)),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _section(study: Json, pictures: dict[str, str]) -> Iterator[str]:
    yield f"## {study['name']} ({study['size']})"
    yield ""
    paper = f" Paper: {study['paper']}." if study["paper"] else ""
    yield f"**{study['title']}** Found by: {study['source']}.{paper}"
    if study["setting"]:
        yield ""
        yield study["setting"]
    if study["amended"]:
        yield ""
        yield f"*Laid down anew after a look at rows:* {study['amended']}"
    yield ""
    yield "| claim | declared | published | ours | 95 % interval | verdict | seeds |"
    yield "|---|---|---|---|---|---|---|"
    for claim in study["claims"]:
        kind = "*Control:* " if claim["control"] else ""
        cells = [kind + claim["sentence"], claim["declared"], claim["published"], claim["ours"]]
        cells += [claim["interval"], f"**{claim['verdict']}**", claim["seeds"]]
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
    yield ""
    yield from remarks(study)
    if picture := pictures.get(f"{study['name']}-{study['size']}"):
        yield ""
        yield f"![{study['title']}]({picture})"
    yield ""


def remarks(study: Json) -> Iterator[str]:
    """What stands below the table: cost, versions, and what went wrong."""
    made = ", ".join(f"{name} {version}" for name, version in study["versions"].items())
    cost = f"{study['cpu_s']:.0f} CPU-seconds"
    yield f"{study['rows']:,} rows of {_seeds(study['seeds'])}, {cost}; {made}."
    if study["doubt"]:
        yield study["doubt"]
    for failed in study["failed"]:
        yield f"Seed {failed['seed']} failed: {failed['error']}."
    if study["stale"]:
        yield f"{_seeds(study['stale'])} of an older version of the study: left out."


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _interval(effect: Interval) -> str:
    if not math.isfinite(effect.low):
        return "none"
    return f"{_number(effect.low)} .. {_number(effect.high)}"


def _number(value: float) -> str:
    return "none" if math.isnan(value) else f"{value:.4g}"
