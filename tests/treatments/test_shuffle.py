import torch
from torch.utils.data import DataLoader, TensorDataset


def loader(**settings):
    return DataLoader(TensorDataset(torch.arange(12)), batch_size=4, **settings)


def dealt(batches):
    return [int(i) for (rows,) in batches for i in rows]


def test_training_rows_come_in_a_new_order_each_epoch(treated):
    torch.manual_seed(0)
    treated("shuffle")
    batches = loader()
    before = torch.get_rng_state()
    first, second = dealt(batches), dealt(batches)
    torch.set_rng_state(before)
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second
    assert first != sorted(first)


def test_judging_keeps_its_order(treated):
    site = treated("shuffle")
    with torch.no_grad():
        assert dealt(loader()) == list(range(12))
    assert not site.acted


def test_a_loader_that_shuffles_is_left_alone(treated):
    site = treated("shuffle")
    dealt(loader(shuffle=True))
    assert not site.acted


def test_the_program_draws_as_many_numbers_as_before(treated):
    def after():
        torch.manual_seed(0)
        dealt(loader())
        return torch.rand(1)

    plain = after()
    treated("shuffle")
    assert torch.equal(after(), plain)
