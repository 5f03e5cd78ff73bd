"""What a person reads in the terminal, on stderr: findings as they come, a summary at the end."""

import contextlib
import io
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule as Bar
from rich.table import Table
from rich.text import Text

from torchdx.graph.model import Line
from torchdx.record.model import Record
from torchdx.rules.base import Evidence, Excluded, Finding
from torchdx.rules.ranking import Diagnosis

FEW = 3  # backward passes below which most rules have seen too little
WIDTH = 100  # columns, where the terminal has as many or does not say
_COLOURS = {"fault": "red", "suspicion": "yellow", "note": "cyan"}
_MARKS = {"fault": "✗", "suspicion": "?", "note": "·"}


def console(*, stderr: bool = True) -> Console:
    """Colours on a terminal only, `NO_COLOR` honoured."""
    width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
    return Console(stderr=stderr, width=width, highlight=False, emoji=False)


def tell(finding: Finding, *, stderr: bool = True) -> None:
    """Print one finding while the run goes on."""
    with contextlib.suppress(OSError, ValueError):  # stderr may be closed
        sys.stdout.flush()
        head = Text.assemble(("  dx  ", "bold magenta"), *headline(finding))
        below = Padding(body(finding, brief=True), (0, 2, 0, 6))
        text = _render(iter([head, below]), console(stderr=stderr))
        (sys.stderr if stderr else sys.stdout).write(text)


def summary(  # noqa: PLR0913  # all that there is to say
    record: Record,
    diagnosis: Diagnosis,
    path: Path,
    *,
    failure: str | None = None,
    stderr: bool = True,
    tried: Sequence[str] = (),
    curved: Sequence[str] = (),
) -> None:
    """Print what was found in a run.

    Args:
        record: what was kept of it.
        diagnosis: what the rules say of it.
        path: where its record is.
        failure: why that could not be written.
        stderr: where it is printed; else on stdout.
        tried: its trials, a line each.
        curved: what is known of its curvature, likewise.
    """
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        said = [("tried", line) for line in tried] + [("curvature", line) for line in curved]
        parts = _summary(record, diagnosis, path, failure, said)
        text = _render(parts, console(stderr=stderr))
        (sys.stderr if stderr else sys.stdout).write(text)


def _render(parts: Iterator[RenderableType], out: Console) -> str:
    """As the console would print it, less the spaces that it leaves behind lines."""
    with out.capture() as captured:
        for part in parts:
            out.print(part)
    return re.sub(r"[ \t]+(\x1b\[0m)?$", r"\1", captured.get(), flags=re.MULTILINE)


def as_text(record: Record, diagnosis: Diagnosis, path: Path) -> str:
    """The summary as plain text."""
    out = Console(file=io.StringIO(), width=WIDTH, highlight=False, color_system=None)
    return _render(_summary(record, diagnosis, path, None), out)


def nothing_trained(record: Record, path: Path) -> None:
    """Say what was seen of a program that never trained."""
    seen = "torch was imported, but no backward pass and no optimizer step ran"
    if record.optimizers:
        seen = f"{len(record.optimizers)} optimizer(s) made, but no backward pass and no step ran"
    nothing_seen(seen, None, path)


def nothing_seen(seen: str, failure: str | None, path: Path | None = None) -> None:
    """One line for a program in which there was nothing to judge."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        out = console()
        kept = f" Record: {shown(path)}" if path is not None and path.exists() else ""
        said = Text.assemble(("  dx  ", "bold magenta"), f"nothing to judge: {seen}.{kept}")
        out.print(said, soft_wrap=True)
        if failure:
            out.print(f"      torchdx could not observe: {failure}", style="yellow")


def failures(record: Record, writer: str | None) -> None:
    """Print only what went wrong with torchdx itself."""
    with contextlib.suppress(OSError, ValueError):
        for text in _own_failures(record, writer):
            console().print(Text.assemble(("  dx  ", "bold magenta"), (text, "yellow")))


def shown(path: Path | str) -> str:
    """A path as short as it can be said from here."""
    try:
        relative = os.path.relpath(path)
    except ValueError:
        return str(path)
    return str(path) if relative.startswith("..") else relative


def _summary(
    record: Record,
    diagnosis: Diagnosis,
    path: Path,
    failure: str | None,
    said: Sequence[tuple[str, str]] = (),
) -> Iterator[RenderableType]:
    yield ""
    yield Bar(
        Text.assemble(("torchdx ", "bold magenta"), title(record)), style="magenta", align="left"
    )
    if diagnosis.findings:
        for rank, finding in enumerate(diagnosis.findings, 1):
            yield Text.assemble((f" {rank:>2}  ", "bold"), *headline(finding))
            yield Padding(body(finding, chain=_chain(diagnosis, finding)), (0, 2, 0, 5))
            yield ""
    else:
        yield _nothing(record)
        yield ""
    yield _facts(record, diagnosis, path, said)
    for text in _own_failures(record, failure):
        yield Padding(Text(text, style="yellow"), (0, 2))
    yield ""


def _nothing(record: Record) -> Text:
    if record.failure:
        until = f"until step {record.failed_at}, where watching ended"
        return Text(f"  nothing found {until}: no more can be said", style="bold yellow")
    if record.backwards < FEW:
        return Text(f"  nothing found, but little was seen ({seen(record)})", style="bold yellow")
    return Text("  nothing found", style="bold green")


def seen(record: Record) -> str:
    """`1 backward pass, 0 steps`."""
    passes = f"{record.backwards} backward pass{'es' * (record.backwards != 1)}"
    return f"{passes}, {record.steps} step{'s' * (record.steps != 1)}"


def title(record: Record) -> str:
    """`train.py · 176 steps · 2.1 s`."""
    argv = record.meta.get("argv") or ["notebook"]
    done = sum(optimizer.steps for optimizer in record.optimizers.values()) or record.steps
    steps = f"{done} step{'s' * (done != 1)}"
    stepped = sum(optimizer.steps > 0 for optimizer in record.optimizers.values())
    steps += f" of {stepped} optimizers" if stepped > 1 else ""
    elapsed = record.end.get("elapsed_s")
    parts = [shown(argv[0]), steps] + ([f"{elapsed:.1f} s"] if elapsed is not None else [])
    return " · ".join(parts)


def headline(finding: Finding) -> list[tuple[str, str] | str]:
    """Mark, code, name, how sure, and the line: the first line of a finding."""
    colour = _COLOURS[finding.severity]
    parts: list[tuple[str, str] | str] = [
        (f"{_MARKS[finding.severity]} {finding.code} {finding.name}", f"bold {colour}"),
        (f"  {_sure(finding)}", f"dim {colour}"),
    ]
    if finding.line is not None:
        parts.append((f"  {place_of(finding.line)}", "bold"))
    return parts


def _sure(finding: Finding) -> str:
    """`fault`, `suspicion, weak`: how sure, where it is not certain."""
    sure = "" if finding.confidence == "certain" else f", {finding.confidence}"
    return finding.severity + sure


def place_of(line: Line) -> str:
    """`train.py:38`."""
    return f"{shown(line.file)}:{line.number}"


def _chain(diagnosis: Diagnosis, finding: Finding) -> str:
    """`D01 unscaled-inputs → O01 step-too-long → L19 undefined-operation`, or nothing."""
    codes = diagnosis.chains.get(finding.code, ())
    names = {code: name for code, name, _ in diagnosis.checked}
    return " → ".join(f"{code} {names[code]}" for code in (finding.code, *codes)) if codes else ""


def body(finding: Finding, *, brief: bool = False, chain: str = "") -> RenderableType:
    """What stands below: the source line, what was found, the next command; `brief`: no more."""
    parts: list[RenderableType] = []
    if finding.line is not None and finding.line.text:
        parts.append(Text(f"│ {finding.line.text}", style="dim", overflow="ellipsis", no_wrap=True))
    parts.append(Text(finding.text))
    if finding.evidence and not brief:
        parts.append(_evidence(finding.evidence))
    if chain:
        parts.append(Text.assemble(("chain: ", "dim"), chain))
    if not brief:
        parts += [_rival(rival) for rival in finding.excluded]
    if finding.confirm and not brief:
        parts.append(Text.assemble(("to confirm: ", "dim"), finding.confirm))
    if not brief:
        texts = [prescription.text for prescription in finding.prescriptions[:2]]
        parts += [Text.assemble(("to try: ", "green"), text) for text in texts]
    parts.append(Text.assemble(("next: ", "dim"), (f"torchdx explain {finding.code}", "cyan")))
    return Group(*parts)


def _evidence(evidence: tuple[Evidence, ...]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for item in evidence:
        against = "" if item.against is None else f"against {_number(item.against)}"
        table.add_row(
            Text(f"  {item.what}", style="dim"),
            Text(_number(item.value)),
            Text(against, style="dim"),
        )
    return table


def _rival(rival: Excluded) -> Text:
    held = "" if rival.against is None else f" against {_number(rival.against)}"
    said = f"not {rival.code}: {rival.what} {_number(rival.value)}{held}"
    return Text(said, style="dim")


def _number(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _facts(
    record: Record, diagnosis: Diagnosis, path: Path, more: Sequence[tuple[str, str]]
) -> Table:
    counts = {"found": 0, "explained": 0, "unclear": 0, "not found": 0}
    for _, _, outcome in diagnosis.checked:
        counts[outcome] += 1
    table = Table(box=None, padding=(0, 2, 0, 2), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    said = [f"{counts['found']} found"]
    said += [f"{counts['not found']} not found"] if not record.failure else []
    said += [f"{counts['explained']} explained by these"] if counts["explained"] else []
    said += [f"{counts['unclear']} unclear"] if counts["unclear"] else []
    little = f"; little was seen: {seen(record)}" if record.backwards < FEW else ""
    table.add_row("checked", f"{len(diagnosis.checked)} rules: {', '.join(said)}{little}")
    if ended := _ended(record):
        table.add_row("ended", Text(ended, style="dim"))
    for finding, cause in diagnosis.silenced:
        table.add_row("explained", f"{finding.code} {finding.name}, by {cause}")
    for answer in diagnosis.unclear:
        table.add_row("unclear", f"{answer.code} {answer.name}: {answer.because}")
    for what, line in more:
        table.add_row(what, line)
    spent, elapsed = record.end.get("spent_s"), record.end.get("elapsed_s")
    if spent is not None and elapsed:
        table.add_row("cost", f"{spent:.2f} s of {elapsed:.1f} s in torchdx's hooks")
    if sampled := record.end.get("sampled"):
        table.add_row("sampled", _sampled(sampled, record.end.get("budget")))
    if path.exists():
        table.add_row("record", shown(path))
    if diagnosis.findings:
        root = diagnosis.findings[0]
        commands = [f"torchdx try {root.code}"] if root.prescriptions else []
        table.add_row("next", Text(" · ".join([*commands, "torchdx report"]), style="cyan"))
    return table


def _ended(record: Record) -> str:
    """How the program ended, where not well."""
    status = record.end.get("status")
    if error := record.end.get("error"):
        return f"by {error}"
    if not status:
        return ""
    return f"with exit status {status}" if status > 0 else f"by {signal.Signals(-status).name}"


def _sampled(counts: Mapping[str, int], budget: float | None) -> str:
    """How many steps were measured, and how closely."""
    said = f"{counts['full']} in full, {counts['cheap']} in part"
    return f"{said}; the first 20, and those after a finding, beside the budget of {budget:.0%}"


def _own_failures(record: Record, writer: str | None) -> Iterator[str]:
    if record.torn_bytes:
        yield f"the record is torn: {record.torn_bytes} bytes behind its last whole frame are lost."
    if record.failure:
        yield (
            f"torchdx stopped watching at step {record.failed_at} because of an error of its own: "
            f"{record.failure}"
        )
    if writer:
        yield f"{writer}; the run went on, without a record."
