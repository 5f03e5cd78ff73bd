import pytest
import torch


def sqrt(x):
    return torch.sqrt(x)


def acos(x):
    return torch.acos(x)


@pytest.mark.parametrize(
    ("op", "compute", "values"),
    [
        ("Sqrt", lambda x: x.sqrt(), [0.0, 4.0]),
        ("Sqrt", sqrt, [0.0, 4.0]),
        ("Log", lambda x: x.log(), [0.0, 4.0]),
        ("Div", lambda x: x / (x - 1), [1.0, 4.0]),
        ("Div", lambda x: torch.div(x, x - 1), [1.0, 4.0]),
        ("Pow", lambda x: x**0.5, [0.0, 4.0]),
        ("Acos", acos, [1.0, 0.5]),
    ],
)
def test_only_the_singular_element_is_changed(treated, op, compute, values):
    x = torch.tensor(values, requires_grad=True)
    plain = compute(x)
    site = treated("stable_operation", where=op)
    stable = compute(x)
    stable.sum().backward()
    assert bool(stable.isfinite().all())
    assert bool(x.grad.isfinite().all())
    assert stable[1] == plain[1]
    assert site.acted >= 1


def test_a_count_of_none_is_one(treated):
    treated("stable_operation", where="Div")
    mean = torch.tensor([0.0, 6.0]) / torch.tensor([0, 3])
    assert mean.tolist() == [0.0, 2.0]


def test_where_nothing_is_singular_nothing_is_changed(treated):
    x = torch.tensor([1.0, 4.0], requires_grad=True)
    site = treated("stable_operation", where="Sqrt")
    loss = x.sqrt().sum()
    loss.backward()
    assert x.grad.tolist() == [0.5, 0.25]
    assert site.acted == 0


def test_what_the_optimizer_computes_is_its_own(treated):
    site = treated("stable_operation", where="Sqrt")
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.Adam([weight])
    weight.grad = torch.zeros(2)
    optimizer.step()
    assert site.acted == 0
