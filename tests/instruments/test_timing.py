import threading

import pytest

from torchdx.events.recorder import Recorder
from torchdx.instruments.timing import Timing
from torchdx.record.writer import Writer


class Program:
    """A loop whose parts last as long as a test says."""

    def __init__(self, path):
        self.now = 0.0
        self.recorder = Recorder(Writer(path))
        self.timing = Timing(self.recorder, lambda: self.now)

    def batch(self, seconds, loader=1):
        self.timing.wanted()
        self.now += seconds
        self.timing.yielded(loader)

    def backward(self, *, before=0.0, forward=0.2, seconds=0.3, seen=False):
        self.now += before
        if seen:
            self.timing.called()
        self.now += forward
        self.timing.backward()
        self.now += seconds
        self.timing.backward_ended()

    def step(self, seconds=0.1, *, counts=True):
        self.timing.step_begins()
        self.now += seconds
        self.timing.step_ended()
        if counts:
            self.recorder.steps += 1
            self.timing.cycle_ended()

    def read(self, signal):
        self.timing.flush()
        return dict(self.recorder.record.series(signal))


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path / "run.dx")


def test_a_cycle_is_parted_into_data_computing_and_the_rest(program):
    for _ in range(3):
        program.batch(0.5)
        program.backward()
        program.step()
        program.now += 0.4  # the program prints something
    data, compute = program.read("time.data"), program.read("time.compute")
    assert data == {2: 0.5, 3: 0.5}
    assert compute[3] == pytest.approx(0.6)
    assert program.read("time.other")[3] == pytest.approx(0.4)


def test_what_is_done_with_gradients_before_the_step_is_no_computing(program):
    for _ in range(3):
        program.batch(0.5)
        program.backward()
        program.now += 0.7  # norms are logged
        program.step()
    assert program.read("time.compute")[3] == pytest.approx(0.6)
    assert program.read("time.other")[3] == pytest.approx(0.7)


def test_a_step_with_a_closure_is_parted_likewise(program):
    for _ in range(3):
        program.batch(0.5)
        program.timing.step_begins()
        program.backward()
        program.now += 0.1
        program.timing.step_ended()
        program.recorder.steps += 1
        program.timing.cycle_ended()
    assert program.read("time.data")[3] == pytest.approx(0.5)
    assert program.read("time.compute")[3] == pytest.approx(0.6)
    assert program.read("time.other")[3] == pytest.approx(0.0)


def test_without_a_loader_the_time_before_the_model_is_called_is_no_computing(program):
    for _ in range(3):
        program.backward(before=0.7, seen=True)
        program.step()
    assert program.read("time.data") == {2: 0.0, 3: 0.0}
    assert program.read("time.before")[3] == pytest.approx(0.7)
    assert program.read("time.compute")[3] == pytest.approx(0.6)


def test_a_validation_and_the_start_of_workers_stand_apart(program):
    for cycle in range(4):
        if cycle == 2:
            for _ in range(20):
                program.batch(1.0, loader=2)
        program.batch(0.5)
        program.backward()
        program.step()
    assert program.read("time.data") == {2: 0.5, 4: 0.5}
    assert program.read("time.apart")[3] == pytest.approx(21.1)
    program.timing.starting()
    program.timing.started(workers=True)
    program.batch(3.0)
    program.backward()
    program.step()
    assert program.read("time.starting")[5] == pytest.approx(3.0)
    assert 5 not in program.read("time.data")


def test_two_loaders_in_turn_are_both_learnt_from(program):
    for _ in range(4):
        program.batch(0.25, loader=1)
        program.batch(0.5, loader=2)
        program.backward()
        program.step()
    assert program.read("time.data")[4] == pytest.approx(0.75)


def test_a_long_stretch_without_gradients_stands_apart(program):
    for cycle in range(4):
        if cycle == 2:
            program.timing.gradients(on=False)
            program.now += 50.0
            program.timing.gradients(on=True)
        program.backward()
        program.step()
    assert 3 not in program.read("time.compute")
    assert program.read("time.apart")[3] == pytest.approx(50.6)


def test_two_optimizers_make_one_cycle(program):
    for _ in range(3):
        program.batch(0.5)
        program.backward()
        program.step(counts=False)
        program.backward()
        program.step()
    assert program.read("time.compute")[3] == pytest.approx(1.2)


def test_waits_of_other_threads_do_not_count(program):
    for _ in range(2):
        program.batch(0.5)
        program.backward()
        program.step()
    prefetching = threading.Thread(target=program.batch, args=(9.0,))
    prefetching.start()
    prefetching.join()
    program.now -= 9.0
    program.batch(0.5)
    program.backward()
    program.step()
    assert program.read("time.data")[3] == pytest.approx(0.5)


def test_signals_grow_with_the_logarithm_of_the_steps(program):
    for _ in range(20_000):
        program.batch(0.5)
        program.backward()
        program.step()
    assert len(program.read("time.data")) < 60
