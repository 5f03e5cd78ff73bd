import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tests.support import answers, findings, observed

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(160, 4, generator=GENERATOR)
Y = (X[:, 0] > 0).long()


def loader(first, last, *, shuffle=False):
    return DataLoader(TensorDataset(X[first:last], Y[first:last]), batch_size=20, shuffle=shuffle)


def start():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.1), nn.Linear(4, 2))
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def go_through(model, optimizer, batches, *, learn):
    for x, y in batches:
        loss = functional.cross_entropy(model(x), y)
        if learn:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def judge(model, batches):
    model.eval()
    with torch.no_grad():
        for x, _ in batches:
            model(x)


def run(epoch, tmp_path, *, epochs=4, after=None):
    def program():
        model, optimizer = start()
        train, held = loader(0, 80, shuffle=True), loader(80, 120)
        for _ in range(epochs):
            epoch(model, optimizer, train, held)
        if after is not None:
            after(model, optimizer, held)

    return observed(program, tmp_path / "run.dx")


def test_steps_in_evaluation_mode_between_training_passes_are_a_fault(tmp_path):
    def epoch(model, optimizer, train, held):
        for batches in (train, held):
            model.train(batches is train)
            go_through(model, optimizer, batches, learn=True)

    (finding,) = findings("T07", run(epoch, tmp_path))
    assert finding.severity == "fault"
    assert "8 optimizer steps were taken in 4 passes over data loader 2" in finding.text
    assert "optimizer.step()" in finding.line.text


def test_rows_learned_from_apart_and_judged_later_are_told(tmp_path):
    def epoch(model, optimizer, train, held):
        model.train()
        go_through(model, optimizer, train, learn=True)
        go_through(model, optimizer, held, learn=True)
        judge(model, held)

    (finding,) = findings("T07", run(epoch, tmp_path))
    assert finding.severity == "suspicion"
    assert finding.confidence == "strong"
    assert "40 of 40 rows that the model is judged on" in finding.text
    assert finding.excluded[0].code == "D10"


def test_a_second_loader_learned_from_in_turn_is_a_weak_suspicion(tmp_path):
    def epoch(model, optimizer, train, held):
        for batches in (train, held):
            model.train()
            go_through(model, optimizer, batches, learn=True)

    record = run(epoch, tmp_path, after=lambda model, *_: judge(model, loader(120, 160)))
    (finding,) = findings("T07", record)
    assert (finding.severity, finding.confidence) == ("suspicion", "weak")
    assert "unshuffled and after each pass" in finding.text


def test_a_validation_with_gradients_but_without_steps_is_sound(tmp_path):
    def epoch(model, optimizer, train, held):
        for batches in (train, held):
            model.train(batches is train)
            go_through(model, optimizer, batches, learn=batches is train)

    assert answers("T07", run(epoch, tmp_path)) == []


def test_a_refit_after_the_last_validation_is_meant(tmp_path):
    def epoch(model, optimizer, train, held):
        model.train()
        go_through(model, optimizer, train, learn=True)
        judge(model, held)

    def refit(model, optimizer, held):
        model.train()
        for _ in range(3):
            go_through(model, optimizer, held, learn=True)

    assert answers("T07", run(epoch, tmp_path, after=refit)) == []


def test_two_training_sets_of_which_others_are_judged_are_meant(tmp_path):
    def epoch(model, optimizer, train, held):
        model.train()
        go_through(model, optimizer, train, learn=True)
        go_through(model, optimizer, held, learn=True)
        judge(model, loader(120, 160))

    assert answers("T07", run(epoch, tmp_path)) == []


def test_training_accuracy_beside_a_validation_is_no_validation(tmp_path):
    test = loader(120, 160)

    def epoch(model, optimizer, train, held):
        model.train()
        go_through(model, optimizer, train, learn=True)
        go_through(model, optimizer, held, learn=True)
        for batches in (held, test):
            judge(model, batches)

    assert answers("T07", run(epoch, tmp_path)) == []


def test_a_stream_is_judged_before_it_is_learned_from(tmp_path):
    def epoch(model, optimizer, train, _):
        for x, y in train:
            judge(model, [(x, y)])
            model.train()
            go_through(model, optimizer, [(x, y)], learn=True)

    assert answers("T07", run(epoch, tmp_path)) == []
