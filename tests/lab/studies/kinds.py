"""Made-up rows of all three kinds for any claim: clearly so, clearly not, and scattered."""

from torchdx.lab.rows import Rows
from torchdx.lab.statistics import judge

SEEDS = 5


def words(claim, seed_rows):
    """The verdicts on rows of the three kinds.

    `seed_rows(value)` makes the rows of one seed whose statistic is about `value`.
    """
    unit = claim.delta or max(abs(claim.target), 1.0) * 0.1
    sign = -1 if claim.direction == "below" else 1
    good = 0.0 if claim.direction == "equal" else 3 * unit * sign
    bad = 3 * unit if claim.direction == "equal" else -unit * sign
    kinds = {
        "reproduced": [good] * SEEDS,
        "not reproduced": [bad] * SEEDS,
        "inconclusive": [good + (bad - good) * 3 * (k % 2) for k in range(SEEDS)],
    }
    found = {}
    for word, values in kinds.items():
        rows = [
            {"seed": seed, **row}
            for seed, value in enumerate(values)
            for row in seed_rows(claim.target + value)
        ]
        found[word] = judge(claim, Rows.of(rows)).word
    return found


ALL_THREE = {word: word for word in ("reproduced", "not reproduced", "inconclusive")}
