import pytest
import torch
from torch.nn import functional as fn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from tests.rules.loss.training import inputs, net, train
from tests.support import answers, findings, observed

COUNTS = torch.tensor([160.0, 40.0, 20.0])
Y = torch.repeat_interleave(torch.arange(3), COUNTS.long())


def weighted(weights, tmp_path, y=Y, *, mix=True):
    """Four epochs of cross-entropy in batches of 44 rows."""

    def program():
        torch.manual_seed(0)
        model = net(3)
        for _ in range(4):
            order = torch.randperm(len(y)) if mix else torch.arange(len(y))
            for rows in order.split(44):
                train(
                    model,
                    lambda m, r=rows: fn.cross_entropy(m(inputs(len(r))), y[r], weight=weights),
                    steps=1,
                )

    return observed(program, tmp_path / "run.dx")


def positives(weight, tmp_path, share=0.2):
    def program():
        torch.manual_seed(0)
        y = (torch.arange(200) < 200 * share).float().unsqueeze(1)
        model = net(1)
        for _ in range(4):
            for rows in torch.randperm(200).split(40):
                train(
                    model,
                    lambda m, r=rows: fn.binary_cross_entropy_with_logits(
                        m(inputs(40)), y[r], pos_weight=torch.tensor([weight])
                    ),
                    steps=1,
                )

    return observed(program, tmp_path / "run.dx")


def test_weights_proportional_to_the_frequencies_are_found_with_what_they_leave(tmp_path):
    (finding,) = findings("L16", weighted(COUNTS / COUNTS.mean(), tmp_path))
    assert finding.severity == "fault"
    assert "fn.cross_entropy" in finding.line.text
    assert "proportional to the classes' frequencies" in finding.text
    assert "1.34 classes count in the loss where the rows alone make 2.14" in finding.text
    assert finding.evidence[2].value == "640, 160, 80"


def test_weights_that_only_grow_with_the_frequency_are_a_suspicion(tmp_path):
    (finding,) = findings("L16", weighted(torch.tensor([9.0, 1.0, 1.0]), tmp_path))
    assert finding.severity == "suspicion"
    assert finding.confirm


@pytest.mark.parametrize(
    "weights",
    [
        pytest.param(1 / COUNTS, id="inverse"),
        pytest.param(1 / COUNTS.sqrt(), id="inverse root"),
        pytest.param(torch.ones(3), id="equal"),
        pytest.param(1 / COUNTS**2, id="inverse square: the rare class before all"),
        pytest.param(torch.tensor([0.0, 1.0, 1.0]), id="one class ignored"),
        pytest.param(torch.tensor([1.2, 1.0, 1.0]), id="a mild preference for the frequent class"),
    ],
)
def test_other_weights_are_silent(weights, tmp_path):
    assert not answers("L16", weighted(weights, tmp_path))


def test_a_cost_on_balanced_classes_is_silent(tmp_path):
    y = torch.arange(3).repeat(70)
    assert not answers("L16", weighted(torch.tensor([5.0, 1.0, 1.0]), tmp_path, y))


def test_sorted_labels_whose_first_batches_mislead_are_silent(tmp_path):
    # 25 batches of class 0, then some of class 1, of which there are far more than were counted
    y = torch.repeat_interleave(torch.arange(2), torch.tensor([1320, 880]))
    assert not answers("L16", weighted(torch.tensor([4.0, 1.0, 1.0]), tmp_path, y, mix=False))


def test_a_loss_without_weights_is_no_question(tmp_path):
    assert not answers("L16", weighted(None, tmp_path))


def test_the_odds_of_the_positive_rows_as_their_own_weight_are_found(tmp_path):
    (finding,) = findings("L16", positives(0.25, tmp_path))
    assert finding.severity == "fault"
    assert "pos_weight is 0.25" in finding.text
    assert "(160 / 640) instead of 4" in finding.text


@pytest.mark.parametrize("weight", [4.0, 1.0, 0.6, 20.0])
def test_other_weights_of_positive_rows_are_silent(weight, tmp_path):
    assert not answers("L16", positives(weight, tmp_path))


def test_a_weight_near_the_odds_is_silent_where_both_sides_are_equal_but_for_chance(tmp_path):
    assert not answers("L16", positives(1.04, tmp_path, share=0.51))


@pytest.mark.parametrize(("weights", "found"), [(1 / COUNTS, True), (torch.ones(3), False)])
def test_weights_beside_a_sampler_that_has_balanced_the_batches_are_a_suspicion(
    weights, found, tmp_path
):
    def program():
        torch.manual_seed(0)
        sampler = WeightedRandomSampler((1 / COUNTS)[Y], 220)
        loader = DataLoader(TensorDataset(inputs(220), Y), batch_size=44, sampler=sampler)
        model = net(3)
        for _ in range(4):
            for x, y in loader:
                train(model, lambda m, x=x, y=y: fn.cross_entropy(m(x), y, weight=weights), steps=1)

    given = findings("L16", observed(program, tmp_path / "run.dx"))
    assert bool(given) is found
    assert not found or "weighted sampler" in given[0].text
