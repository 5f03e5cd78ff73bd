"""The page of a run: one file of HTML that opens from disk and asks nothing of any network.

What is text is in the page as text, made here and escaped by Jinja; charts are data that Vega draws
(`vega.js`, put into the page whole). The page's own policy forbids it to load anything.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from torchdx.report.charts.base import Figure
from torchdx.report.charts.compare import comparison, names_of
from torchdx.report.charts.data import labels, output_gradients
from torchdx.report.charts.depth import frame_of
from torchdx.report.charts.evidence import evidence
from torchdx.report.charts.flow import flows
from torchdx.report.charts.histograms import frame_of as histogram_frame
from torchdx.report.charts.histograms import histograms
from torchdx.report.charts.learning import learning
from torchdx.report.charts.sharpness import sharpness
from torchdx.report.charts.slices import slices
from torchdx.report.charts.spectrum import spectrum
from torchdx.report.charts.theme import config
from torchdx.report.charts.time import time_splits
from torchdx.report.charts.trial import trial
from torchdx.report.page import words
from torchdx.report.view import View

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data:; font-src data:; connect-src {connect}; base-uri 'none'; form-action 'none'"
)  # Vega makes functions of its expressions, hence `unsafe-eval`
_HERE = Path(__file__).parent


def page(view: View) -> str:
    """The page of one run."""
    live = view["head"]["ended"] == "running"
    return (
        _environment()
        .get_template("run.html")
        .render(
            **_frame(live=live),
            view=view,
            root=view["verdict"]["findings"][0] if view["verdict"]["findings"] else None,
            figures=_figures(view),
            evidence={f["code"]: evidence(f) for f in view["verdict"]["findings"]},
            trials=[(told, trial(told)) for told in view["trials"]],
            network=_network(view),
            live=live,
        )
    )


def comparing(views: Sequence[View]) -> str:
    """The page of several runs beside one another."""
    return (
        _environment()
        .get_template("compare.html")
        .render(
            **_frame(live=False),
            views=views,
            names=names_of(views),
            figures=comparison(views),
            differing=_differing(views),
            live=False,
        )
    )


def _differing(views: Sequence[View]) -> list[tuple[str, list[str]]]:
    """The facts that are not the same in all runs, one value a run."""
    told = [dict(_numbered(view["head"]["facts"])) for view in views]
    told = [
        {"command": v["head"]["command"], **facts} for v, facts in zip(views, told, strict=True)
    ]
    keys = list(dict.fromkeys(key for facts in told for key in facts))
    rows = [(key, [facts.get(key, "") for facts in told]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]


def _numbered(facts: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Facts of one kind told apart: `optimizer`, `optimizer 2`."""
    seen = Counter[str]()
    for what, value in facts:
        seen[what] += 1
        yield (what if seen[what] == 1 else f"{what} {seen[what]}"), value


def _frame(*, live: bool) -> dict[str, Any]:
    """What every page is made with."""
    return {
        "policy": POLICY.format(connect="'self'" if live else "'none'"),
        "style": _text("page.css"),
        "script": _text("page.js"),
        "vega": _text("vega.js"),
        "configs": {paper: config(paper) for paper in ("light", "dark")},
    }


def _figures(view: View) -> dict[str, list[Figure]]:
    """By the part of the page that they stand in."""
    parts: dict[str, list[Figure | None]] = {
        "learning": [learning(view)],
        "curvature": [sharpness(view), spectrum(view), *slices(view)],
        "flow": [*flows(view), *histograms(view)],
        "data": [labels(view), output_gradients(view)],
        "time": [time_splits(view)],
    }
    return {part: [f for f in found if f is not None] for part, found in parts.items()}


def _network(view: View) -> dict[str, Any]:
    """What the page needs to draw any signal of any part of the tree."""
    root = view["verdict"]["findings"][0] if view["verdict"]["findings"] else None
    network = view["network"]
    pictures = [{**picture, "frame": frame_of(picture)} for picture in network["pictures"]]
    return {
        "parts": network["parts"],
        "pictures": pictures,
        "histograms": [{**h, "frame": histogram_frame(h)} for h in view["histograms"]],
        "signal": root["signal"] if root else "",
        "place": root["place"] if root else "",
    }


@cache
def _text(name: str) -> str:
    """A file of the page's, safe to stand inside an element."""
    text = (_HERE / name).read_text(encoding="utf-8")
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    made.filters |= {
        "plain": words.plain,
        "duration": words.duration,
        "date": words.date,
        "number": words.number,
        "marked": words.marked,
        "times": words.times,
        "zip": zip,
    }
    return made
