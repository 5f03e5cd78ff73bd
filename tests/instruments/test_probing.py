"""When probes are made in a run, on which model, and that the run does not notice."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.support import observed
from torchdx.instruments import probing

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(40) % 3


def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
    )


def train(steps, model=None, *, lr=0.05, loss_of=None):
    model = model or net()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(X), Y) if loss_of is None else loss_of(model)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, model


def steps_of(record, kind):
    return [event.step + 1 for event in record.probes(kind)]


def test_probes_come_at_the_second_the_twentieth_and_then_ever_rarer_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(probing, "GRACE_S", 60.0)
    record = observed(lambda: train(185), tmp_path / "run.dx")
    assert steps_of(record, "modes") == [2, 20, 60, 180]
    assert steps_of(record, "mixing") == [2]
    assert steps_of(record, "zeroed") == steps_of(record, "sharpness") == [20, 60, 180]
    (mixing,) = record.probes("mixing")
    assert mixing.facts["model"] == ""
    assert mixing.line.text.startswith("loss = F.cross_entropy(model(X), Y)")


def test_without_time_left_there_are_no_probes(tmp_path, monkeypatch):
    monkeypatch.setattr(probing, "GRACE_S", 0.0)
    monkeypatch.setattr(probing, "SHARE", 0.0)
    assert observed(lambda: train(25), tmp_path / "run.dx").of("probe") == []


def test_what_the_probes_of_a_step_cost_puts_off_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(probing, "GRACE_S", 1e-6)
    monkeypatch.setattr(probing, "SHARE", 0.0)
    assert steps_of(observed(lambda: train(25), tmp_path / "run.dx"), "modes") == [2]


def test_losses_weights_and_random_states_are_those_of_an_unwatched_run(tmp_path, monkeypatch):
    monkeypatch.setattr(probing, "GRACE_S", 60.0)
    losses, plain = train(65)
    after = torch.get_rng_state()
    seen = []

    def program():
        seen.append(train(65))
        seen.append(torch.get_rng_state())

    record = observed(program, tmp_path / "run.dx")
    assert steps_of(record, "modes") == [2, 20, 60]
    (again, watched), state = seen
    assert losses == again
    assert torch.equal(after, state)
    pairs = zip(plain.state_dict().values(), watched.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_losses_of_the_probe_are_those_of_the_run(tmp_path):
    record = observed(lambda: train(3, net().eval()), tmp_path / "run.dx")
    (event,) = record.probes("modes")
    assert event.facts["eval_loss"] == pytest.approx(dict(record.losses)[2], rel=1e-6)


def test_a_loss_over_a_factor_and_one_that_the_model_gives_itself_are_rebuilt(tmp_path):
    class WithLoss(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, x, labels):
            scores = self.net(x)
            return {"loss": F.cross_entropy(scores, labels), "logits": scores}

    def program():
        train(2, loss_of=lambda model: F.cross_entropy(model(X), Y) / 4)
        train(2, WithLoss(), loss_of=lambda model: model(X, labels=Y)["loss"])

    record = observed(program, tmp_path / "run.dx")
    losses = [event.facts["batch_loss"] for event in record.probes("modes")]
    assert len(losses) == 2
    assert all(0.5 < loss < 2 for loss in losses)


def test_a_loss_that_cannot_be_rebuilt_leaves_what_needs_none(tmp_path):
    def odd(model):
        return F.multi_margin_loss(model(X), Y)

    record = observed(lambda: train(21, loss_of=odd), tmp_path / "run.dx")
    event = record.probes("modes")[-1]
    assert event.facts["train_loss"] is None
    assert event.facts["train_difference"] > 0
    (failed,) = [e for e in record.of("probe") if e.facts["kind"] == "sharpness"]
    assert "could not be computed again" in failed.facts["because"]
    assert record.probes("sharpness") == []


def test_two_nets_that_play_against_each_other_are_probed_each_by_itself(tmp_path):
    def program():
        torch.manual_seed(0)
        makes, tells = nn.Linear(4, 6), nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
        first = torch.optim.SGD(makes.parameters(), lr=0.01)
        second = torch.optim.SGD(tells.parameters(), lr=0.01)
        for _ in range(3):
            second.zero_grad()
            F.softplus(-tells(X)).mean().backward()
            second.step()
            first.zero_grad()
            F.softplus(-tells(makes(torch.randn(40, 4)))).mean().backward()
            first.step()

    record = observed(program, tmp_path / "run.dx")
    assert len({event.facts["model"] for event in record.probes("modes")}) == 2


def test_one_batch_is_fitted_only_where_the_loss_stays_high(tmp_path, monkeypatch):
    monkeypatch.setattr(probing, "FIT_FROM", 15)
    places = 4 * torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
    which = torch.arange(40) % 8

    def told(width):
        def program():
            torch.manual_seed(0)
            model = nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, 8))
            x = places[which] + X
            train(21, model, lr=0.5, loss_of=lambda m: F.cross_entropy(m(x), which))

        return list(observed(program, tmp_path / f"{width}.dx").of("probe"))

    assert "one-batch" in {event.facts["kind"] for event in told(1)}
    assert "one-batch" not in {event.facts["kind"] for event in told(64)}


def test_a_model_under_autocast_is_probed_under_autocast(tmp_path):
    def half(model):
        with torch.autocast("cpu", torch.bfloat16):
            scores = model(X)
        return F.cross_entropy(scores.float(), Y)

    record = observed(lambda: train(3, loss_of=half), tmp_path / "run.dx")
    assert len(record.probes("modes")) == 1


def curved(program, path, every=30):
    from torchdx.events.recorder import Recorder
    from torchdx.observer import Observer
    from torchdx.record.reader import read
    from torchdx.record.writer import Writer

    observer = Observer(Recorder(Writer(path)))
    observer.measure_curvature(every)
    observer.start()
    try:
        program()
    finally:
        observer.finish(status=0)
    return read(path)


def test_curvature_is_measured_as_often_as_was_asked_for_with_its_bounds(tmp_path, monkeypatch):
    monkeypatch.setattr(probing, "GRACE_S", 60.0)
    record = curved(lambda: train(130), tmp_path / "run.dx")
    steps = steps_of(record, "sharpness")
    assert steps == [20, 50, 60, 90, 120]
    assert steps_of(record, "zeroed") == [20, 60]
    names = ("curvature.lambda_max", "curvature.lambda_max.low", "curvature.lambda_max.high")
    top, low, high = (dict(record.series(name)) for name in names)
    assert len(top) == len(steps)
    assert all(low[s] <= top[s] * 1.001 and top[s] <= high[s] * 1.001 for s in top)
    assert len(record.series("curvature.lr_ratio")) == len(steps)


def test_spectrum_and_slice_are_taken_at_doublings_where_curvature_is_asked_for(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(probing, "GRACE_S", 60.0)
    record = curved(lambda: train(130), tmp_path / "run.dx")
    assert steps_of(record, "spectrum") == steps_of(record, "slice") == [20, 50, 120]


def test_without_being_asked_for_one_slice_is_taken_and_a_spectrum_with_each_probe(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(probing, "GRACE_S", 60.0)
    record = observed(lambda: train(65), tmp_path / "run.dx")
    assert steps_of(record, "spectrum") == [20, 60]
    assert steps_of(record, "slice") == [20]


def test_curvature_with_its_slices_leaves_losses_weights_and_random_states_alone(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(probing, "GRACE_S", 60.0)

    def run():
        torch.manual_seed(1)
        model = net()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, amsgrad=True)
        losses = []
        for _ in range(70):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(X), Y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            losses.append(loss.item())
        state = [*model.state_dict().values(), torch.get_rng_state()]
        return losses, state + [t for s in optimizer.state.values() for t in s.values()]

    losses, plain = run()
    seen = []
    record = curved(lambda: seen.append(run()), tmp_path / "run.dx", every=10)
    assert len(steps_of(record, "slice")) >= 2
    assert record.probes("slice")[-1].facts["max_norm"] == 0.5
    again, watched = seen[0]
    assert losses == again
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))


def test_the_slice_along_the_update_leads_to_where_the_step_leads(tmp_path, monkeypatch):
    monkeypatch.setattr(probing, "GRACE_S", 60.0)

    def program():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
        train_with(model, torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9))

    def train_with(model, optimizer):
        for _ in range(22):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(X), Y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.05)
            optimizer.step()

    record = observed(program, tmp_path / "run.dx")
    (event,) = record.probes("slice")
    line = next(line for line in event.facts["lines"] if line["name"] == "update")
    losses = dict(record.losses)
    after = dict(zip(line["places"], line["losses"], strict=True))
    assert after[0] == pytest.approx(losses[20], rel=1e-6)
    assert after[1] == pytest.approx(losses[21], rel=1e-6)
    assert after[1] != pytest.approx(losses[20], rel=1e-4)
    parabola = event.facts["value"] + line["slope"] / 3 + line["curvature"] / 18
    third = next(v for place, v in after.items() if abs(place - 1 / 3) < 1e-3)
    assert third == pytest.approx(parabola, rel=1e-4)
