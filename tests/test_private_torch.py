"""The names of torch that are read although they are private: each still means what it did."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, dataloader


def test_graph_nodes_carry_metadata_saved_scalars_and_stacks():
    weight = torch.ones(3, 2, requires_grad=True)
    torch.set_anomaly_enabled(True, False)
    try:
        loss = nn.functional.cross_entropy(weight, torch.tensor([0, 1, 1]))
    finally:
        torch.set_anomaly_enabled(False, True)
    node = loss.grad_fn
    assert list(node._input_metadata[0].shape) == []
    assert node._saved_reduction == 1
    assert node._saved_ignore_index == 2**64 - 100
    assert node._saved_target.tolist() == [0, 1, 1]
    assert __file__ in "".join(node.metadata["traceback_"])
    leaf = node.next_functions[0][0].next_functions[0][0]
    assert type(leaf).__name__ == "AccumulateGrad"
    assert leaf.variable is weight


def test_every_data_loader_iterator_goes_through_one_next():
    loader = DataLoader(TensorDataset(torch.arange(4)), batch_size=2)
    assert isinstance(iter(loader), dataloader._BaseDataLoaderIter)


def test_every_call_of_a_module_goes_through_call_impl():
    assert "_call_impl" in nn.Module._wrapped_call_impl.__code__.co_names


def test_the_eager_stance_can_be_set_and_put_back():
    torch.compiler.set_stance("force_eager")
    torch.compiler.set_stance("default")
