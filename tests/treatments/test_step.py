import torch
from torch import nn


def net():
    torch.manual_seed(0)
    return nn.Linear(2, 1)


def test_the_step_that_nobody_takes_is_taken_once_a_turn(treated):
    site = treated("step")
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.ones(4, 2)
    begun = model.weight.detach().clone()
    for _ in range(3):
        optimizer.zero_grad()
        model(x).mean().backward()
    model.eval()
    assert torch.allclose(model.weight, begun - 0.3)
    assert site.acted == 3


def test_gradients_of_several_passes_make_one_step(treated):
    site = treated("step")
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    out = model(torch.ones(4, 2)).mean()
    out.backward(retain_graph=True)
    out.backward()
    optimizer.zero_grad()
    assert site.acted == 1


def test_a_right_loop_stays(treated):
    site = treated("step")
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    begun = model.weight.detach().clone()
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(4, 2)).mean().backward()
        optimizer.step()
    assert torch.allclose(model.weight, begun - 0.3)
    assert not site.acted


def test_a_second_step_of_another_becomes_the_one_that_is_missing(treated):
    site = treated("step", where="optimizer 1")
    body, head = net(), nn.Linear(1, 1)
    pair = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (body, head)]
    begun = body.weight.detach().clone(), head.bias.detach().clone()
    for optimizer in pair:
        optimizer.zero_grad()
    head(body(torch.ones(4, 2))).mean().backward()
    pair[1].step()
    pair[1].step()
    assert not torch.equal(body.weight, begun[0])
    assert torch.allclose(head.bias, begun[1] - 0.1)
    assert site.acted == 1


def test_the_step_behind_a_cleared_optimizer_is_its(treated):
    site = treated("step", where="optimizer 1")
    maker, critic = net(), nn.Linear(1, 1)
    pair = [torch.optim.SGD(m.parameters(), lr=0.1) for m in (maker, critic)]
    begun = maker.weight.detach().clone(), critic.weight.detach().clone()
    pair[0].zero_grad()
    critic(maker(torch.ones(4, 2))).mean().backward()
    pair[1].step()
    assert not torch.equal(maker.weight, begun[0])
    assert torch.equal(critic.weight, begun[1])
    assert site.acted == 1
