import math

import numpy as np
import pytest
import torch

from tests.lab.studies.kinds import ALL_THREE, words
from torchdx.lab.rows import Rows
from torchdx.lab.studies import batch_norm
from torchdx.lab.studies.batch_norm import INITS, LARGE, STUDY, TRIED

CLAIMS = {claim.name: claim for claim in STUDY.claims}
BOTH = list(zip(("xavier", "kaiming"), INITS, strict=True))


def rate(init, norm, lr, loss, accuracy=0.5):
    told = {"init": init, "norm": norm, "rate": lr, "loss": loss, "accuracy": accuracy}
    return {"part": "rate", **told}


def tail(init, norm, scale=1.0, kurtosis=3.0):
    return {"part": "tails", "init": init, "norm": norm, "scale": scale, "kurtosis": kurtosis}


@pytest.mark.parametrize(("end", "init"), BOTH)
def test_the_highest_rates_that_train_are_compared(end, init):
    def rows(value):
        yield rate(init, "with", 10.0**value, 0.5)
        yield rate(init, "with", 10.0 ** (value + 1), 2.3)
        yield rate(init, "without", 1.0, 1.0)
        yield rate(init, "without", 10.0, 3.0)

    assert words(CLAIMS[f"larger-rates-{end}"], rows) == ALL_THREE


def test_a_net_that_no_rate_trains_is_put_below_all_of_them():
    rows = Rows.of([rate(INITS[0], "with", 0.1, 0.5), rate(INITS[0], "without", 0.003, 2.3)])
    assert batch_norm.larger_rates(rows, INITS[0]) == pytest.approx(2.0)


@pytest.mark.parametrize(("end", "init"), BOTH)
def test_accuracies_are_compared_at_the_rate_that_suits_each(end, init):
    def same(value):
        yield rate(init, "without", 0.01, 0.3, 0.5)
        yield rate(init, "without", 0.1, 2.3, 0.1)
        yield rate(init, "with", 0.01, 0.3, 0.5 + value)

    def pays(value):
        yield rate(init, "without", 0.01, 0.3, 0.9)
        yield rate(init, "with", 0.01, 0.3, 0.5)
        yield rate(init, "with", 0.1, 0.2, 0.5 + value)

    def diverges(value):
        yield rate(init, "without", LARGE, 2.3, value)

    assert batch_norm.same_at_small(Rows.of(same(0.2)), init) == pytest.approx(0.2)
    assert words(CLAIMS[f"same-at-small-rates-{end}"], same) == ALL_THREE
    assert words(CLAIMS[f"larger-rate-pays-{end}"], pays) == ALL_THREE
    assert words(CLAIMS[f"diverges-without-{end}"], diverges) == ALL_THREE


@pytest.mark.parametrize(
    ("name", "inits"),
    [
        ("larger-gradients-xavier", INITS[:1]),
        ("larger-gradients-kaiming", INITS[1:]),
        ("smaller-gradients-xavier", INITS[:1]),
        ("heavier-tails-xavier", INITS[:1]),
        ("heavier-tails-kaiming", INITS[1:]),
        ("tails-whatever-the-weights", TRIED),
    ],
)
def test_gradients_are_compared_on_a_scale_of_logarithms(name, inits):
    def rows(value):
        for init in inits:
            yield tail(init, "with")
            yield tail(init, "without", 10.0**value, 3 * math.exp(value))

    assert words(CLAIMS[name], rows) == ALL_THREE


def test_tails_are_heavier_whatever_the_weights_only_where_the_lightest_are():
    rows = [tail(init, "with") for init in TRIED]
    rows += [tail(init, "without", kurtosis=3.0 if init == "xavier" else 30.0) for init in TRIED]
    assert batch_norm.lightest_tails(Rows.of(rows)) == 0.0


def test_the_scales_of_gradients_are_spread_by_decades():
    def rows(value):
        yield tail("xavier", "without")
        yield tail("kaiming normal", "without", 10.0 ** max(value, 0.0))
        yield tail("xavier", "with", 1e9)

    claim = CLAIMS["scale-by-weights"]
    assert claim.statistic(Rows.of(rows(1.5))) == pytest.approx(1.5)
    assert words(claim, rows) == ALL_THREE


def along(init, norm, reach):
    for batch in (1, 4):
        for step, relative in ((-1, 1.0005), (0, 0.9), (1, 1.5), (2, 0.9)):
            told = {"init": init, "norm": norm, "batch": batch, "relative": relative}
            yield {"part": "along", "step": 10.0 ** (reach + step), **told}


@pytest.mark.parametrize(("end", "init"), BOTH)
def test_steps_are_followed_up_to_where_the_loss_first_rises(end, init):
    def rows(value):
        yield from along(init, "with", value)
        yield from along(init, "without", 0.0)

    assert batch_norm.reach(Rows.of(rows(0.7)), init, "with") == pytest.approx(0.7)
    assert words(CLAIMS[f"longer-steps-{end}"], rows) == ALL_THREE


@pytest.mark.parametrize("name", ["deviations-grow", "means-grow", "deviations-constant"])
@pytest.mark.parametrize(("end", "init"), BOTH)
def test_channels_of_the_last_layers_are_held_against_those_of_the_first(name, end, init):
    norm = "with" if name.endswith("constant") else "without"

    def rows(value):
        for layer in range(1, 12):
            size = 10.0 ** (value * (layer > 6))
            told = {"init": init, "norm": norm, "layer": layer, "mean": size, "deviation": size}
            yield {"part": "channels", **told}

    assert words(CLAIMS[f"{name}-{end}"], rows) == ALL_THREE


@pytest.mark.parametrize(("end", "init"), BOTH)
def test_gradients_of_outputs_are_judged_by_the_share_of_one_class(end, init):
    def rows(value):
        yield {"part": "outputs", "init": init, "norm": "with", "column": 0.3}
        yield {"part": "outputs", "init": init, "norm": "without", "column": 0.3 + value}

    assert words(CLAIMS[f"one-class-{end}"], rows) == ALL_THREE


def test_one_yellow_column_is_a_share_of_one():
    table = np.array([[0.9, -1.0, 0.0], [0.8, 0.0, -0.8]])
    assert batch_norm.column_share(table) == 1.0
    assert batch_norm.column_share(np.array([[0.5, -1.0], [-1.0, 0.5]])) == 0.5


def test_a_normal_distribution_has_a_kurtosis_of_three():
    draw = torch.Generator().manual_seed(0)
    assert batch_norm.kurtosis(5 * torch.randn(100_000, generator=draw)) == pytest.approx(
        3.0, abs=0.1
    )


def test_placebos_are_held_against_nets_without_batch_norm():
    def gain(value):
        yield rate(INITS[1], "without", batch_norm.AT, 1.0, 0.1)
        yield rate(INITS[1], "placebo", batch_norm.AT, 1.0, 0.1 + value)

    def tails(value):
        yield tail(INITS[0], "without")
        yield tail(INITS[0], "placebo", kurtosis=3 * math.exp(value))

    assert words(CLAIMS["placebo-does-not-train"], gain) == ALL_THREE
    assert words(CLAIMS["placebo-tails"], tails) == ALL_THREE


def test_nets_that_differ_by_their_norms_begin_with_the_same_weights():
    nets = {
        n: batch_norm.made(8, (2, 2, 2), n, "xavier", 0) for n in ("with", "without", "placebo")
    }
    images = torch.randn(4, 1, 8, 8)
    assert torch.equal(nets["with"][0][0].weight, nets["without"][0][0].weight)
    nets["placebo"].train()
    torch.testing.assert_close(nets["placebo"](images), nets["without"](images), rtol=0, atol=1e-3)
    assert (nets["with"](images) - nets["without"](images)).abs().max() > 0.01


@pytest.mark.slow
def test_a_seed_yields_what_claims_and_figure_need_and_controls_are_null(monkeypatch):
    monkeypatch.setattr(batch_norm, "DURATION", {"quick": 4})
    monkeypatch.setattr(batch_norm, "TRAINED", {"quick": 8})
    monkeypatch.setattr(batch_norm, "LOOKED", {"quick": 14})
    rows = Rows.of({"seed": 0, **row} for row in STUDY.run("quick", 0))
    found = {name: claim.statistic(rows) for name, claim in CLAIMS.items()}
    assert all(math.isfinite(value) for value in found.values()), found
    assert abs(found["placebo-tails"]) < 0.01
    assert abs(found["placebo-does-not-train"]) < 0.1
    assert "decades" in STUDY.figure(rows).says
