import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from tests.support import answers, findings, observed

X = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()
HELD = DataLoader(TensorDataset(X, Y), batch_size=16)


def run(judge, tmp_path, held=HELD):
    def program():
        torch.manual_seed(0)
        model = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        for _ in range(3):
            for x, y in DataLoader(TensorDataset(X, Y), batch_size=25):
                optimizer.zero_grad()
                functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                judge(model, held)
            model.train()

    return observed(program, tmp_path / "run.dx")


def test_right_answers_over_batches_are_no_accuracy(tmp_path):
    def judge(model, loader):
        correct = 0
        for x, y in loader:
            correct += (model(x).argmax(1) == y).sum().item()
        return 100 * correct / len(loader)

    (finding,) = findings("M02", run(judge, tmp_path))
    assert finding.severity == "fault"
    assert "`100 * correct / len(loader)`" in finding.text
    assert "the number of batches" in finding.text
    assert finding.evidence[0].value == 4
    assert finding.evidence[0].against == 50
    assert "len(loader)" in finding.line.text


class Card:
    def __init__(self):
        self.hits = self.rows = 0

    def share(self):
        return self.hits / self.rows


def test_a_last_batch_that_is_counted_as_full_is_found_in_a_class(tmp_path):
    def judge(model, loader):
        card = Card()
        for x, y in loader:
            card.hits += (model(x).argmax(1) == y).sum().item()
            card.rows += loader.batch_size
        return card.share()

    (finding,) = findings("M02", run(judge, tmp_path))
    assert "by 64, 4 batches of 16, though the last had 2" in finding.text
    assert "self.hits / self.rows" in finding.line.text


def test_rows_counted_as_they_come_are_right(tmp_path):
    def judge(model, loader):
        correct = total = 0
        for x, y in loader:
            correct = correct + (model(x).argmax(1) == y).sum()
            total += y.size(0)
        return correct.item() / total, 100.0 * correct / len(loader.dataset)

    assert answers("M02", run(judge, tmp_path)) == []


def test_the_mean_of_the_accuracies_of_batches_is_let_be(tmp_path):
    def judge(model, loader):
        mean = 0.0
        for x, y in loader:
            hits = (model(x).argmax(1) == y).sum().item()
            mean += hits / len(y)
        return mean / len(loader)

    assert answers("M02", run(judge, tmp_path)) == []


def test_batches_of_one_size_may_be_multiplied(tmp_path):
    even = DataLoader(TensorDataset(X[:48], Y[:48]), batch_size=16)

    def judge(model, loader):
        correct = 0
        for x, y in loader:
            correct += (model(x).argmax(1) == y).sum().item()
        return correct / (len(loader) * 16), correct / len(loader) / 16

    assert answers("M02", run(judge, tmp_path, even)) == []


def test_a_name_that_is_used_again_is_not_taken_for_the_count(tmp_path):
    def judge(model, loader):
        correct = 0
        for x, y in loader:
            correct += (model(x).argmax(1) == y).sum().item()
        score = correct / len(loader.dataset)
        correct = 7
        return score, correct / 3

    assert answers("M02", run(judge, tmp_path)) == []


def test_a_division_before_the_loop_belongs_to_another_count(tmp_path):
    def judge(model, loader):
        correct = 10
        mean = correct / 3
        correct = 0
        for x, y in loader:
            correct += (model(x).argmax(1) == y).sum().item()
        return mean, correct

    assert answers("M02", run(judge, tmp_path)) == []
