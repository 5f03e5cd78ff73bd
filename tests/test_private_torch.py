"""The names of torch that are read although they are private: each still means what it did."""

import inspect

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, dataloader
from torch.utils.data._utils import worker


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


def test_what_a_node_kept_can_be_read_without_unpacking_it_and_nodes_tell_their_order():
    weight = torch.ones(3, requires_grad=True)
    root = (weight * weight).sqrt()
    before = torch._C._autograd._get_sequence_nr()
    saved = root.grad_fn._raw_saved_result
    assert saved.unpack_hook is None
    assert saved.data.tolist() == [1, 1, 1]
    product = root.grad_fn.next_functions[0][0]
    assert product._sequence_nr() < root.grad_fn._sequence_nr() < before
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        hooked = weight.exp()
    assert hooked.grad_fn._raw_saved_result.unpack_hook is not None


def test_every_data_loader_iterator_goes_through_one_next():
    loader = DataLoader(TensorDataset(torch.arange(4)), batch_size=2)
    assert isinstance(iter(loader), dataloader._BaseDataLoaderIter)


def test_a_loader_process_runs_worker_loop_with_these_arguments():
    names = inspect.signature(worker._worker_loop).parameters
    assert {"dataset", "data_queue", "init_fn", "worker_id"} <= names.keys()
    assert "_worker_loop" in dataloader._MultiProcessingDataLoaderIter.__init__.__code__.co_names


def test_every_call_of_a_module_goes_through_call_impl():
    assert "_call_impl" in nn.Module._wrapped_call_impl.__code__.co_names


def test_the_eager_stance_can_be_set_and_put_back():
    torch.compiler.set_stance("force_eager")
    torch.compiler.set_stance("default")


def test_modes_that_follow_every_operation_can_be_counted():
    from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack
    from torch.utils._python_dispatch import TorchDispatchMode

    class Following(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    assert torch._C._len_torch_dispatch_stack() == len(_get_current_function_mode_stack()) == 0
    assert torch._C._functorch.peek_interpreter_stack() is None
    with Following(), TorchFunctionMode():
        assert torch._C._len_torch_dispatch_stack() == 1
        assert len(_get_current_function_mode_stack()) == 1


def test_a_function_mode_sees_the_functions_that_draw_random_numbers():
    from torch.overrides import TorchFunctionMode

    class Naming(TorchFunctionMode):
        def __init__(self):
            super().__init__()
            self.names = []

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.names.append(func.__name__)
            return func(*args, **(kwargs or {}))

    x = torch.ones(1, 2, 4)
    with Naming() as seen:
        nn.functional.dropout(x)
        nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5)
        nn.MultiheadAttention(4, 1, dropout=0.1)(x, x, x)
        torch.randn_like(x)
        nn.LSTM(4, 3)(x)
    wanted = {"dropout", "scaled_dot_product_attention", "multi_head_attention_forward"}
    assert wanted | {"randn_like", "lstm"} <= set(seen.names)


def test_hooks_on_all_modules_stand_in_four_tables():
    from torch.nn.modules import module

    handle = module.register_module_forward_hook(lambda *_: None)
    assert len(module._global_forward_hooks) == 1
    handle.remove()
    names = ("forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
    assert all(len(getattr(module, f"_global_{name}")) == 0 for name in names)


def test_what_is_warned_of_goes_through_one_function(monkeypatch):
    import warnings

    seen = []
    monkeypatch.setattr(warnings, "_showwarnmsg", seen.append)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("of something", stacklevel=1)
    assert len(seen) == 1
