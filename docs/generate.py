"""Writes what is made from the rules: `docs/rules.md` (their pages) and the table in the README.

`python docs/generate.py` writes them, `python docs/generate.py --check` only says whether they are
as they would be written.
"""

import sys
from pathlib import Path

from torchdx.rules.base import FAMILIES, Rule, all_rules

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- rules: begin -->", "<!-- rules: end -->"
NAMES = {
    "L": "Loss",
    "A": "Architecture",
    "O": "Optimisation",
    "N": "Normalisation and modes",
    "R": "Regularisation",
    "T": "Training loop",
    "M": "Metrics and model selection",
    "D": "Data",
    "P": "Precision and speed",
}


def families() -> list[tuple[str, list[Rule]]]:
    """Rules by family, those without any left out."""
    grouped = [(NAMES[f], [r for r in all_rules() if r.code[0] == f]) for f in FAMILIES]
    return [(name, rules) for name, rules in grouped if rules]


def table() -> str:
    """For the README: a line a rule."""
    lines = ["| code | name | what is wrong |", "|---|---|---|"]
    for name, rules in families():
        lines.append(f"| | **{name}** | |")
        lines += [f"| {r.code} | {r.name} | {r.title} |" for r in rules]
    return "\n".join(lines)


def pages() -> str:
    """Every rule's page, one below the other."""
    parts = ["# Rules", "", "Made by `docs/generate.py` from the rules' own files.", ""]
    for name, rules in families():
        parts += [f"## {name}", ""]
        for rule in rules:
            _, _, body = rule.page.partition("\n")
            parts += [f"### {rule.code} {rule.name}", "", rule.title, ""]
            parts += [body.strip().replace("## ", "#### "), ""]
    return "\n".join(parts).rstrip() + "\n"


def wanted() -> dict[Path, str]:
    """What each file should hold."""
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    whole = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    return {readme: whole, ROOT / "docs" / "rules.md": pages()}


def main() -> int:
    """Write what is stale; with `--check`, 1 when something is."""
    stale = [p for p, text in wanted().items() if not p.exists() or p.read_text() != text]
    if "--check" in sys.argv:
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted()[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
