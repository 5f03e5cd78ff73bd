import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from tests.rules.data.training import run
from tests.support import findings
from torchdx.record.model import Record


class Jittered(Dataset):
    """Rows with noise from a generator of its own, or from numpy's."""

    def __init__(self, own):
        self.own = own

    def __len__(self):
        return 24

    def __getitem__(self, i):
        noise = np.random if self.own is None else self.own  # as programs do
        return torch.tensor([i + noise.normal(), float(i)], dtype=torch.float32), i % 2


class Stream(IterableDataset):
    """Rows in an order that it draws; `shared` between the processes."""

    def __init__(self, *, shared):
        self.shared = shared
        self.rng = np.random.default_rng(0)

    def __iter__(self):
        worker = get_worker_info()
        order = self.rng.permutation(24)
        for i in order[worker.id :: worker.num_workers] if self.shared else order[:12]:
            yield torch.tensor([float(i), 1.0]), int(i) % 2


def learn(data, **settings):
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
    for _ in range(2):
        for x, y in DataLoader(data, batch_size=4, num_workers=2, **settings):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()


def own_seed(_):
    info = get_worker_info()
    info.dataset.own = np.random.RandomState(info.seed % 2**32)


def found(program, tmp_path):
    return findings("D15", run(program, tmp_path))


def test_a_generator_that_the_data_set_carries_into_its_processes_is_found(tmp_path):
    (finding,) = found(lambda: learn(Jittered(np.random.RandomState(0))), tmp_path)
    assert finding.severity == "fault"
    assert "`own` of the data set in one and the same state" in finding.text
    assert "each epoch begins with that state again" in finding.text
    assert "DataLoader(data" in finding.line.text


def test_one_seed_for_all_processes_is_found(tmp_path):
    def same(_):
        np.random.seed(1)  # noqa: NPY002  # as programs do

    (finding,) = found(lambda: learn(Jittered(None), worker_init_fn=same), tmp_path)
    assert "begin with numpy's in one" in finding.text


def test_a_seed_for_each_process_is_passed_over(tmp_path):
    data = Jittered(np.random.RandomState(0))
    assert not found(lambda: learn(data, worker_init_fn=own_seed), tmp_path)


def test_the_seeds_that_torch_gives_are_passed_over(tmp_path):
    assert not found(lambda: learn(Jittered(None)), tmp_path)


def test_a_stream_that_comes_twice_is_found(tmp_path):
    (finding,) = found(lambda: learn(Stream(shared=False)), tmp_path)
    assert finding.evidence[1].value == pytest.approx(0.5)


def test_an_order_that_the_processes_deal_out_is_passed_over(tmp_path):
    assert not found(lambda: learn(Stream(shared=True)), tmp_path)


def test_a_generator_that_nobody_draws_from_is_passed_over(tmp_path):
    data = Jittered(None)
    data.spare = random.Random(0)
    assert not found(lambda: learn(data), tmp_path)


@pytest.mark.parametrize(("equal", "seen"), [(0.5, True), (0.3, True), (0.2, False)])
def test_equal_batches_of_a_stream(equal, seen):
    record = Record()
    facts = {"loader": 1, "workers": 2, "alike": ["rng"], "anew": None, "stream": True}
    entry = {"e": "event", "kind": "workers", "step": 3, "line": None}
    record.apply({**entry, "facts": {**facts, "equal": equal}})
    assert bool(findings("D15", record)) is seen
