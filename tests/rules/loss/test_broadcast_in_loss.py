import pytest
import torch
from torch.nn import functional as fn

from tests.rules.loss.training import inputs, net, train
from tests.support import answers, findings, observed

pytestmark = pytest.mark.filterwarnings("ignore:Using a target size")

FLAT = torch.linspace(-1, 1, 12)
COLUMN = FLAT.unsqueeze(1)


def run(loss, tmp_path, outputs=1):
    def program():
        torch.manual_seed(0)
        train(net(outputs), lambda m: loss(m(inputs())))

    return observed(program, tmp_path / "run.dx")


def test_a_column_against_a_row_is_found_with_both_shapes(tmp_path):
    (finding,) = findings("L08", run(lambda z: fn.mse_loss(z, FLAT), tmp_path))
    assert finding.severity == "fault"
    assert "fn.mse_loss(z, FLAT)" in finding.line.text
    assert "12 predictions of shape (12, 1) meet 12 targets of shape (12,)" in finding.text
    assert "144 pairs" in finding.text


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda z: fn.mse_loss(z.squeeze(1), COLUMN), id="a row against a column"),
        pytest.param(lambda z: fn.smooth_l1_loss(z, FLAT), id="smooth l1"),
        pytest.param(lambda z: fn.huber_loss(z, FLAT), id="huber"),
        pytest.param(lambda z: fn.l1_loss(z, FLAT), id="l1"),
        pytest.param(lambda z: ((z - FLAT) ** 2).mean(), id="by hand"),
        pytest.param(lambda z: ((FLAT - z) ** 2).sum(), id="by hand, the other way round"),
        pytest.param(lambda z: (z.squeeze(1) - COLUMN).abs().mean(), id="absolute, by hand"),
    ],
)
def test_it_is_found_in_every_loss_over_differences(loss, tmp_path):
    assert findings("L08", run(loss, tmp_path))


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(lambda z: fn.mse_loss(z, COLUMN), id="columns"),
        pytest.param(lambda z: fn.mse_loss(z.squeeze(1), FLAT), id="rows"),
        pytest.param(lambda z: ((z.squeeze(1) - FLAT) ** 2).mean(), id="by hand"),
    ],
)
def test_equal_shapes_are_silent(loss, tmp_path):
    assert not answers("L08", run(loss, tmp_path))


def test_a_target_spread_on_purpose_is_silent(tmp_path):
    def loss(z):
        return fn.mse_loss(z, torch.ones(1).expand_as(z))

    assert not answers("L08", run(loss, tmp_path))


def test_all_pairs_on_purpose_are_silent(tmp_path):
    def loss(z):
        pairs = z.squeeze(1)[:, None] - FLAT[None, :]
        return (pairs**2).mean()

    assert not answers("L08", run(loss, tmp_path))


@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param(lambda z: fn.mse_loss(z, FLAT, reduction="none"), id="in torch"),
        pytest.param(lambda z: (z - FLAT) ** 2, id="by hand"),
    ],
)
def test_all_pairs_of_which_the_nearest_counts_are_silent(pairs, tmp_path):
    assert not answers("L08", run(lambda z: pairs(z).min(dim=1).values.mean(), tmp_path))


def test_one_column_against_a_whole_matrix_of_targets_is_silent(tmp_path):
    matrix = torch.outer(FLAT, FLAT)
    assert not answers("L08", run(lambda z: fn.mse_loss(z, matrix), tmp_path))


def test_differences_between_all_predictions_are_silent(tmp_path):
    assert not answers("L08", run(lambda z: ((z - z.T) ** 2).mean(), tmp_path))


def test_one_offset_for_several_outputs_is_silent(tmp_path):
    assert not answers("L08", run(lambda z: ((z - COLUMN) ** 2).mean(), tmp_path, outputs=3))


def test_a_batch_of_one_row_tells_nothing(tmp_path):
    def program():
        train(net(1), lambda m: fn.mse_loss(m(inputs(1)), FLAT[:1]))

    assert not answers("L08", observed(program, tmp_path / "run.dx"))
