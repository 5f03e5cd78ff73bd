"""Batches and counts of odd kinds, which must not end the observation."""

import pytest
import torch

from torchdx.instruments import tallies
from torchdx.instruments.generators import GLOBAL, name_of, states_of
from torchdx.instruments.workers import Board, _Pass


@pytest.mark.parametrize(
    "batch",
    [torch.tensor(1.0), torch.ones(2).bool(), torch.ones(2).to_sparse(), torch.empty(0), 3, "a"],
)
def test_any_batch_of_a_stream_is_known_again_or_passed_over(batch):
    followed = _Pass(Board(2, list(GLOBAL)), 1, stream=True)
    for _ in range(4):
        followed.take(batch)
    assert followed.equal in {0.0, 0.5}


def test_generators_are_named_and_numbered():
    assert [name_of(place) for place in GLOBAL] == ["torch's", "numpy's", "Python's"]
    torch.manual_seed(0)
    before = states_of(None, list(GLOBAL))
    assert states_of(None, list(GLOBAL)) == before
    torch.rand(1)
    assert states_of(None, list(GLOBAL))[0] != before[0]


def test_a_count_that_wants_a_gradient_is_read_without_a_warning():
    assert tallies._number(torch.ones(1, requires_grad=True) * 2) == 2.0
    assert tallies._number(torch.ones(1, device="meta")) is None
