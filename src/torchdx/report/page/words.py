"""How numbers, times and names are said in the page."""

import re
from datetime import UTC, datetime

from markupsafe import Markup, escape

_MINUTE, _HOUR = 60, 3600


def plain(name: str) -> str:
    """`summed-loss` as `Summed loss`."""
    return name.replace("-", " ").capitalize()


def duration(seconds: float) -> str:
    """`1.5 s`, `12 min`, `3 h 05 min`."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR / _MINUTE:02.0f} min"


def date(seconds: float) -> str:
    """`2026-11-21 09:30 UTC`, the same wherever the page is made."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def number(value: float | str | None) -> str:
    """Few digits, thousands apart; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else value


def times(value: float) -> str:
    """How many times as much, with the sign of multiplication."""
    return f"× {value:.3g}"


def marked(text: str) -> Markup:
    """A text whose `names` are set as code; everything else is escaped."""
    parts = re.split(r"`([^`]+)`", text)
    return Markup().join(
        Markup("<code>{}</code>").format(part) if i % 2 else escape(part)
        for i, part in enumerate(parts)
    )
