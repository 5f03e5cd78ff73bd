import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

from tests.support import observed

X = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def run(judge, tmp_path, data=None):
    held = DataLoader(TensorDataset(X, Y) if data is None else data, batch_size=8)

    def program():
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        functional.cross_entropy(model(X), Y).backward()
        optimizer.step()
        with torch.no_grad():
            judge(model, held)

    return [event.facts for event in observed(program, tmp_path / "run.dx").of("tally")]


def test_a_division_of_the_right_answers_is_worked_out(tmp_path):
    def judge(model, loader):
        state = {"hits": 0}
        for x, y in loader:
            state["hits"] += (model(x).argmax(1) == y).sum().item()
        return 100.0 * state["hits"] / (len(loader) * 8 + 1)

    (tally,) = run(judge, tmp_path)
    assert (tally["rows"], tally["batches"], tally["batch"], tally["last"]) == (30, 4, 8, 6)
    assert tally["denominator"] == 33


def test_a_chain_of_products_and_quotients_is_taken_as_one(tmp_path):
    def judge(model, loader):
        hits = 0
        for x, y in loader:
            hits += (model(x).argmax(1) == y).sum()
        return hits.float() / len(loader) / 8 * 100

    (tally,) = run(judge, tmp_path)
    assert tally["denominator"] == 32


class Own(Dataset):
    asked = 0

    def __len__(self):
        type(self).asked += 1
        return 30

    def __getitem__(self, index):
        return X[index], Y[index]


def test_nothing_of_the_program_is_called(tmp_path):
    counts = []

    def judge(model, loader):
        hits = 0
        for x, y in loader:
            hits += (model(x).argmax(1) == y).sum().item()
        counts.append(Own.asked)
        return hits / (len(loader.dataset) + 1), hits / noisy()

    assert run(judge, tmp_path, Own()) == []
    without = Own.asked
    Own.asked = 0
    for _ in DataLoader(Own(), batch_size=8):
        pass
    assert counts[0] == Own.asked
    assert without == counts[0] + 1  # the program's own


def noisy():
    return 31


def test_training_passes_are_not_looked_at(tmp_path):
    def judge(model, loader):
        hits = 0
        with torch.enable_grad():
            for x, y in loader:
                scores = model(x)
                functional.cross_entropy(scores, y).backward()
                hits += (scores.argmax(1) == y).sum().item()
        return hits / len(loader)

    assert run(judge, tmp_path) == []
