import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tests.rules.data.records import made
from tests.rules.data.training import groups, run
from tests.support import findings

BLOCKS = {"rows": 800, "distinct": 40, "batches": 40, "following": 0.97, "different": 2}


def steps(batches):
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for x, y in batches:
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def test_one_batch_beside_a_loader_of_many_is_found(tmp_path):
    def program():
        loader = DataLoader(TensorDataset(*groups()), batch_size=20, shuffle=True)
        first = next(iter(loader))
        steps(first for _ in range(2) for _ in loader)

    (finding,) = findings("D09", run(program, tmp_path))
    assert finding.severity == "suspicion"
    assert "learned from the same 20 rows" in finding.text
    assert "the data loader yielded 12 batches" in finding.text
    assert "model(x)" in finding.line.text


def test_a_loop_that_takes_what_the_loader_gives_is_passed_over(tmp_path):
    def program():
        loader = DataLoader(TensorDataset(*groups()), batch_size=20, shuffle=True)
        steps(batch for _ in range(2) for batch in loader)

    assert not findings("D09", run(program, tmp_path))


def test_all_rows_at_once_are_the_same_batch_each_time_and_healthy(tmp_path):
    assert not findings("D09", run(lambda: steps([groups()] * 30), tmp_path))


def test_blocks_that_are_memorised_one_after_the_other_are_found(tmp_path):
    def program():
        seeds = [number for number in range(4) for _ in range(25)]
        steps(groups(rows=20, seed=seed, spread=3.0) for seed in seeds)

    (finding,) = findings("D09", run(program, tmp_path))
    assert "times the loss leaps" in finding.text


@pytest.mark.parametrize("top", [1.0, 0.2])
def test_blocks_without_leaps_of_the_loss_were_not_memorised(top):
    losses = ([top] + [0.1] * 9) * 5
    assert bool(findings("D09", made(inputs=BLOCKS, losses=losses))) is (top == 1.0)


def test_a_set_that_grows_is_no_row_of_blocks():
    losses = ([1.0] + [0.1] * 9) * 5
    assert not findings("D09", made(inputs=BLOCKS | {"distinct": 25}, losses=losses))


def test_few_steps_say_nothing():
    losses = ([1.0] + [0.1] * 9) * 5
    assert not findings("D09", made(inputs=BLOCKS | {"batches": 11}, losses=losses))
