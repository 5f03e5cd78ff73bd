import time

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

from tests.rules.speed.timed import found, loader, reads, timed
from tests.support import answers, findings, observed
from torchdx.rules.speed.slow_loading import NOTE_S, PLAIN_NOTE_S, ROW_S, SHARE, SUSPICION_S

ASLEEP = {"wait.running": 0.05, "wait.queued": 0.05, "wait.blocked": 0.9, "wait.collating": 0.01}
COMPUTING = {"wait.running": 0.8, "wait.queued": 0.1, "wait.blocked": 0.1, "wait.collating": 0.1}


class Files(Dataset):
    def __len__(self):
        return 400

    def __getitem__(self, index):
        time.sleep(0.002)
        return torch.ones(4), index % 2


def train(batches):
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for x, y in batches:
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def test_a_loader_that_sleeps_is_found_with_its_line(tmp_path):
    def program():
        for _ in range(2):
            train(DataLoader(Files(), batch_size=8))

    (finding,) = findings("P02", observed(program, tmp_path / "run.dx"))
    assert finding.severity in {"suspicion", "note"}
    assert finding.line.text in {"time.sleep(0.002)", "def __getitem__(self, index):"}
    assert finding.evidence[0].value > 0.5
    assert "asleep" in finding.text


def test_rows_in_memory_are_silent_however_large_their_share(tmp_path):
    rows = TensorDataset(torch.ones(512, 4), torch.zeros(512, dtype=torch.long))

    def program():
        for _ in range(4):
            train(DataLoader(rows, batch_size=64, shuffle=True))

    record = observed(program, tmp_path / "run.dx")
    assert record.series("time.data")
    assert answers("P02", record) == []


def test_seconds_waited_make_a_suspicion_a_note_or_nothing():
    per_step = 0.01

    def of(seconds):
        record = timed(steps=round(seconds / per_step), data=per_step, compute=0.01, shares=ASLEEP)
        return findings("P02", loader(record))

    (long,) = of(SUSPICION_S * 1.1)
    assert long.severity == "suspicion"
    assert "50% of each step, 10 ms of 20 ms, is waiting for the next batch" in long.text
    assert [f.severity for f in of(NOTE_S * 1.1)] == ["note"]
    assert of(NOTE_S * 0.9) == []


def test_a_share_just_under_the_limit_is_silent():
    def of(share):
        record = timed(data=share * 0.02, compute=(1 - share) * 0.02, shares=ASLEEP)
        return findings("P02", loader(record))

    assert len(of(SHARE * 1.01)) == 1
    assert of(SHARE * 0.99) == []


def test_rows_that_cost_what_the_loader_needs_are_a_note_only_in_long_runs():
    def of(row, steps):
        record = timed(steps=steps, data=200 * row, compute=0.001, shares=COMPUTING)
        return findings("P02", loader(record, rows=200))

    assert [f.severity for f in of(2 * ROW_S, 10_000)] == ["suspicion"]
    cheap = ROW_S / 2
    (note,) = of(cheap, round(PLAIN_NOTE_S / (200 * cheap) * 1.1))
    assert note.severity == "note"
    assert "rows that lie in memory" in note.text
    assert of(cheap, round(PLAIN_NOTE_S / (200 * cheap) * 0.9)) == []


def test_waiting_for_a_core_is_not_the_loader_s_work():
    crowded = {**COMPUTING, "wait.running": 0.1, "wait.queued": 0.9, "thread.queued": 0.9}
    record = timed(steps=500, data=0.005, compute=0.001, shares=crowded)
    assert findings("P02", loader(record)) == []
    busy = timed(steps=500, data=0.05, compute=0.01, shares=crowded)
    (finding,) = findings("P02", loader(busy, workers=4))
    assert "the machine is overloaded; 5 threads and workers of its own on 2 cores" in finding.text


def test_an_accelerator_that_has_work_left_is_not_kept_waiting():
    def of(starved):
        shares = {**ASLEEP, "device.starved": starved}
        return findings("P02", loader(timed(data=0.01, compute=0.01, shares=shares)))

    assert len(of(0.9)) == 1
    assert of(0.1) == []


def test_who_is_to_blame_and_what_to_change_follow_from_the_wait():
    def of(shares, **settings):
        record = loader(timed(data=0.02, compute=0.01, shares=shares), **settings)
        (finding,) = findings("P02", record)
        return finding.text, finding.prescriptions[0].change, finding.prescriptions[0].to

    text, change, to = of(COMPUTING)
    assert "read and changed in this thread" in text
    assert (change, to) == ("precompute", "")
    text, _, _ = of({**COMPUTING, "wait.collating": 0.8})
    assert "put together in this thread" in text
    text, change, to = of(ASLEEP)
    assert "asleep" in text
    assert (change, to) == ("num_workers", "4")
    behind = of({**ASLEEP, "workers.running": 0.95}, workers=2, cores=8.0)
    assert behind[0].endswith("the 2 workers compute all the time and do not keep up")
    assert behind[1:] == ("num_workers", "4")
    assert of({**ASLEEP, "workers.running": 0.95}, workers=2, cores=2.0)[1] == "precompute"
    idle = {"wait.running": 0.7, "wait.blocked": 0.2, "workers.running": 0.1}
    assert of(idle, workers=2)[1:] == ("num_workers", "0")


def test_the_line_is_the_one_found_most_often_then_the_function_then_the_loop():
    def of(record):
        return findings("P02", record)[0].line.number

    slow = {"data": 0.02, "compute": 0.01, "shares": COMPUTING}
    spots = [(3, "data", False, 30), (12, "data", False, 20), (14, "compute", False, 90)]
    assert of(found(loader(timed(**slow)), *spots)) == 12
    assert of(found(loader(timed(**slow)), (12, "data", False, 3))) == 9
    assert of(loader(timed(**slow), line=None)) == 3
    assert of(found(loader(timed(**slow), workers=2), *spots)) == 9


def test_without_a_loader_the_time_before_the_model_counts():
    spots = [(7, "other", False, 30), (8, "other", True, 30), (9, "compute", False, 40)]
    slow = {"other": 0.02, "before": 0.02, "compute": 0.01}
    (finding,) = findings("P02", found(timed(**slow), *spots))
    assert finding.line.number == 7
    assert "goes by before the model is called" in finding.text
    assert findings("P02", found(timed(other=0.02, compute=0.01), *spots)) == []
    logged = reads(found(timed(**slow), *spots), 7, count=1, looping=1e-5)
    assert findings("P02", logged) == []
    assert findings("P02", timed(**slow)) == []


def test_a_few_steps_are_too_little():
    record = loader(timed(steps=12, data=5.0, compute=0.01, shares=ASLEEP))
    assert answers("P02", record) == []
