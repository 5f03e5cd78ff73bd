import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.support import observed

X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()
NAMES = ("argmax", "max", "gt", "__gt__", "eq", "__eq__", "round")
OURS = [(torch.Tensor, name) for name in NAMES] + [(torch, n) for n in NAMES if n[0] != "_"]


def run(judge, tmp_path, *, then=None, validations=1):
    def program():
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        for _ in range(validations):
            functional.cross_entropy(model(X), Y).backward()
            if then is not None:
                then()
            optimizer.step()
            with torch.no_grad():
                judge(model(X))

    return observed(program, tmp_path / "run.dx")


def used(record):
    return [event.facts for event in record.of("answer-used")]


def test_what_is_made_of_an_answer_is_followed_to_the_comparison(tmp_path):
    record = run(lambda scores: (scores.argmax(1) == Y).float().mean(), tmp_path)
    pick, equal = used(record)
    assert (pick["op"], pick["of"], pick["dim"], pick["size"]) == ("pick", "answer", 1, 2)
    assert (equal["op"], equal["of"], equal["elements"]) == ("equal", "picked", 40)
    assert equal["made"] is not None


def test_functions_of_torch_are_seen_as_methods_are(tmp_path):
    record = run(lambda scores: torch.eq(torch.max(scores, 1)[1], Y), tmp_path)
    assert [facts["op"] for facts in used(record)] == ["pick", "equal"]


def test_sigmoids_and_straight_lines_of_an_answer_are_known(tmp_path):
    def judge(scores):
        return scores.sigmoid() > 0.5, (3 * scores - 1).round(), scores.exp() > 1, X > 0

    assert [facts["of"] for facts in used(run(judge, tmp_path))] == ["sigmoid", "affine"]


def test_torch_is_as_before_when_training_goes_on_and_at_the_end(tmp_path):
    before = [getattr(owner, name) for owner, name in OURS]
    seen = []

    def then():
        seen.append(all(getattr(o, n) is b for (o, n), b in zip(OURS, before, strict=True)))

    steps = 6  # the first steps are watched by others, which replace such methods, too
    run(lambda scores: scores.argmax(1), tmp_path, then=then, validations=steps)
    assert seen[-1]
    assert [getattr(owner, name) for owner, name in OURS] == before


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_a_model_can_be_scripted_right_after_a_validation(tmp_path):
    class Best(nn.Module):
        def forward(self, x):
            return torch.argmax(torch.round(x), dim=1)

    made = []

    def judge(scores):
        scores.argmax(1)
        made.append(torch.jit.script(Best()))

    run(judge, tmp_path)
    assert made[0](X).shape == (40,)


def test_only_some_of_many_validations_are_followed(tmp_path):
    record = run(lambda scores: scores.argmax(1), tmp_path, validations=40)
    assert 3 <= len(used(record)) <= 15


def test_the_answer_is_not_kept_alive(tmp_path):
    alive = []

    def program():
        model = nn.Linear(3, 2)
        functional.cross_entropy(model(X), Y).backward()
        with torch.no_grad():
            scores = model(X)
            scores.argmax(1)
            alive.append(weakref.ref(scores))
            del scores
            alive.append(alive[0]())

    observed(program, tmp_path / "run.dx")
    assert alive[1] is None
