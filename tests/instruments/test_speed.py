import os
import threading
import time

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from tests.support import observed
from torchdx.instruments import machine

STEPS = 24


class Rows(Dataset):
    """Four features a row; reading one does what a test wants."""

    def __init__(self, reading=lambda: None):
        self.reading = reading

    def __len__(self):
        return 4 * STEPS

    def __getitem__(self, index):
        self.reading()
        return torch.full((4,), float(index % 3)), index % 2


def training(tmp_path, *, loader=None, after=lambda _: None, steps=STEPS):
    def program():
        torch.manual_seed(0)
        model = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for x, y in loader or [(torch.ones(4, 4), torch.zeros(4, dtype=torch.long))] * steps:
            answer = model(x)
            optimizer.zero_grad()
            functional.cross_entropy(answer, y).backward()
            optimizer.step()
            after(answer)

    return observed(program, tmp_path / "run.dx")


def mean(record, signal):
    values = [value for _, value in record.series(signal)]
    return sum(values) / len(values)


def newest(record, op):
    return [event for event in record.of("reads") if event.facts["op"] == op][-1].facts


linux = pytest.mark.skipif(machine.thread_times() is None, reason="no schedstat here")


@linux
def test_a_sleeping_loader_is_seen_asleep(tmp_path):
    record = training(
        tmp_path, loader=DataLoader(Rows(lambda: time.sleep(0.002)), batch_size=4), steps=0
    )
    assert mean(record, "time.data") > 0.008
    assert mean(record, "wait.blocked") > mean(record, "wait.running")
    event = record.of("loader")[-1]
    assert event.facts["cls"] == "Rows"
    assert event.facts["rows"] == 4
    assert event.line.text.startswith("def __getitem__")


@linux
def test_a_computing_loader_is_seen_on_a_core_and_its_line_named(tmp_path):
    def computing():
        until = time.thread_time() + 0.015
        while time.thread_time() < until:
            sum(range(50))

    record = training(tmp_path, loader=DataLoader(Rows(computing), batch_size=4))
    asleep, running = mean(record, "wait.blocked"), mean(record, "wait.running")
    assert running > 2 * asleep
    lines = record.of("whereabouts")[-1].facts["lines"]
    found = {record.line(number).function for number, phase, *_ in lines if phase == "data"}
    assert "computing" in found


def test_collating_is_told_from_reading_and_put_back(tmp_path):
    seen = []

    def slowly(rows):
        time.sleep(0.004)
        return torch.utils.data.default_collate(rows)

    loader = DataLoader(Rows(), batch_size=4, collate_fn=slowly)

    def note(_):
        seen.append(loader.collate_fn)

    record = training(tmp_path, loader=loader, after=note)
    assert set(seen) == {slowly}
    assert mean(record, "wait.collating") > 0.5


def test_an_exception_of_the_loader_goes_through_and_leaves_nothing(tmp_path):
    def failing():
        raise RuntimeError

    def program():
        model = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(3):
            model(torch.ones(1, 4)).sum().backward()
            optimizer.step()
        iterator = iter(DataLoader(Rows(failing), batch_size=4))
        try:
            next(iterator)
        finally:
            assert iterator._dataset_fetcher.collate_fn is torch.utils.data.default_collate

    observed(program, tmp_path / "run.dx", fails=True)


def test_reads_are_counted_by_line_and_method_and_torch_s_own_are_not(tmp_path):
    def reading(answer):
        for value in answer.detach()[:, 0]:
            value.item()
        bool(answer.sum() > 0)
        f"{answer.mean():.2f}"

    record = training(tmp_path, after=reading)
    items = newest(record, "item()")
    assert items["count"] == 4 * items["cycles"] > 4
    assert 0 < items["blocked"] < items["looping"] < items["seconds"]
    assert newest(record, "bool()")["count"] == items["cycles"]
    assert newest(record, "print")["count"] == items["cycles"]
    lines = {event.line.text for event in record.of("reads")}
    assert lines == {"value.item()", "bool(answer.sum() > 0)", 'f"{answer.mean():.2f}"'}


def test_reads_inside_a_loader_do_not_count(tmp_path):
    loader = DataLoader(Rows(lambda: torch.ones(()).item()), batch_size=4)
    record = training(tmp_path, loader=loader, after=lambda answer: answer.sum().item())
    assert {event.line.text for event in record.of("reads")} == {
        "record = training(tmp_path, loader=loader, after=lambda answer: answer.sum().item())"
    }


def test_methods_are_replaced_only_in_sampled_cycles(tmp_path):
    replaced = []
    training(tmp_path, after=lambda _: replaced.append("item" in vars(torch.Tensor)), steps=200)
    assert 0 < sum(replaced[20:]) < 40


def test_no_thread_of_ours_is_left_and_none_runs_while_workers_fork(tmp_path):
    before = threading.active_count()

    class Counting(DataLoader):
        def _get_iterator(self):
            assert threading.active_count() == before
            return super()._get_iterator()

    def program():
        model = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(4):
            for x, y in Counting(Rows(), batch_size=4):
                optimizer.zero_grad()
                functional.cross_entropy(model(x), y).backward()
                optimizer.step()

    record = observed(program, tmp_path / "run.dx")
    assert record.end["failure"] is None
    assert record.of("whereabouts")
    assert threading.active_count() == before


def test_workers_are_seen_at_work(tmp_path):
    def computing():
        until = time.thread_time() + 0.002
        while time.thread_time() < until:
            pass

    loader = DataLoader(Rows(computing), batch_size=4, num_workers=1)
    record = training(tmp_path, loader=loader)
    assert record.of("loader")[-1].facts["workers"] == 1
    if machine.thread_times() is not None:
        assert mean(record, "workers.running") > 0.2


def test_memory_and_the_thread_are_told(tmp_path):
    record = training(tmp_path)
    if machine.resident() is not None:
        assert record.series("memory.resident")[-1][1] > 1e7
    if machine.thread_times() is not None:
        shares = [record.series(f"thread.{s}")[-1][1] for s in ("running", "queued", "blocked")]
        assert sum(shares) == pytest.approx(1.0, abs=1e-3)


def test_where_the_system_says_nothing_the_rest_is_still_told(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_words", lambda _: [])
    record = training(tmp_path, loader=DataLoader(Rows(), batch_size=4))
    assert record.series("time.data")
    assert not record.series("thread.running")
    assert not record.series("memory.resident")
    assert machine.thread_times(os.getpid()) is None
    assert machine.cores() >= 1
