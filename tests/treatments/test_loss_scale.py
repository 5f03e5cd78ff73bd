import torch


def test_the_gradient_is_that_of_the_part(treated):
    weight = torch.ones(1, requires_grad=True)
    site = treated("loss_scale", to="1/4")
    for _ in range(4):
        (3 * weight).sum().backward()
    assert weight.grad.item() == 3.0
    torch.autograd.backward((4 * weight).sum())
    assert weight.grad.item() == 4.0
    assert site.acted == 5


def test_without_a_number_nothing_is_changed(treated):
    weight = torch.ones(1, requires_grad=True)
    site = treated("loss_scale")
    (3 * weight).sum().backward()
    assert weight.grad.item() == 3.0
    assert site.acted == 0
