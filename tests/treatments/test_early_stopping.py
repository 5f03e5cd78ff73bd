import torch
from torch import nn


def run(passes):
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.5)
    places = []
    for _ in range(passes):
        for _ in range(2):
            optimizer.zero_grad()
            model(-torch.ones(1, 1)).sum().backward()
            optimizer.step()
        with torch.no_grad():
            model(torch.ones(1, 1))
            model(torch.ones(1, 1))
        places.append(model.weight.item())
    return places


def test_weights_stay_behind_the_last_pass(treated):
    plain = run(4)
    site = treated("early_stopping", to="2")
    assert run(4) == plain[:2] + plain[1:2] * 2
    assert site.acted == 4


def test_a_shorter_run_is_left_alone(treated):
    site = treated("early_stopping", to="2")
    run(2)
    assert not site.acted


def test_gradients_are_there_behind_a_step(treated):
    treated("early_stopping", to="1")
    run(1)
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    weight.sum().backward()
    optimizer.step()
    assert weight.item() == 0.0
    assert weight.grad.item() == 1.0
