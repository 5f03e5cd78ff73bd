"""What was found, as Markdown and as a table."""

import re
from typing import Any

COLUMNS = "run rank code name severity confidence file line place text".split()


def as_markdown(report: dict[str, Any]) -> str:
    """A page for people: findings with their lines, evidence and cures, root first."""
    run, findings = report["run"], report["findings"]
    title = f"# torchdx: {len(findings) or 'no'} finding{'s' * (len(findings) != 1)}"
    call = " ".join(map(str, run["argv"] or ()))
    status = "did not end" if run["status"] is None else f"ended with status {run['status']}"
    head = [title, f"{_prose(call or run['run'] or 'a run')}, {run['steps']} steps, {status}"]
    unclear = [f"- {u['code']} {u['name']}: {_prose(u['because'])}" for u in report["unclear"]]
    tail = ["## Not judged", "\n".join(unclear)] if unclear else []
    return "\n\n".join([*head, *map(_section, findings), *tail]) + "\n"


def as_table(name: str, report: dict[str, Any]) -> list[dict[str, Any]]:
    """One line a finding, in `COLUMNS`."""
    return [{key: {"run": name, **f}[key] for key in COLUMNS} for f in report["findings"]]


def _section(finding: dict[str, Any]) -> str:
    title = f"## {finding['rank']}. {finding['code']} {finding['name']}"
    parts = [f"{title} ({finding['severity']}, {finding['confidence']})"]
    if finding["file"]:
        parts += [_prose(f"{finding['file']}:{finding['line']}"), f"    {finding['source']}"]
    parts.append(_prose(finding["text"]))
    evidence = [f"- {_prose(_measured(item))}" for item in finding["evidence"]]
    cures = [f"- to try: {_prose(item['text'])}" for item in finding["prescriptions"]]
    points = "\n".join([*evidence, *cures, f"- next: `torchdx explain {finding['code']}`"])
    return "\n\n".join([*parts, points])


def _measured(item: dict[str, Any]) -> str:
    against = "" if item["against"] is None else f" (against {_number(item['against'])})"
    return f"{item['what']}: {_number(item['value'])}{against}"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _prose(text: str) -> str:
    """The text with nothing in it that Markdown or HTML would take for its own, less `code`."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick without its fellow
        parts = ["'".join(parts)]
    return "`".join(part if n % 2 else _plain(part) for n, part in enumerate(parts))


def _plain(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("\n", " ")
    return re.sub(r"([\\*_\[\]])", r"\\\1", text)
