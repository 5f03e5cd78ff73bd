"""Where a treatment can act in a running program: models, losses, gradients, steps, loaders.

A site is opened before the program begins, and holds what the treatments of one arm asked for. It
counts what they did, so that a treatment that found nothing to act on is never taken for one that
does not help.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules import module as torch_module
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils.data import DataLoader

from torchdx.events.identity import ByIdentity
from torchdx.events.patches import Patches
from torchdx.graph.names import Names
from torchdx.record.model import Record

LOSSES = (
    *(name for name in dir(functional) if name.endswith("_loss")),
    "cross_entropy",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
)

Around = Callable[..., Any]
BeforeModel = Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], tuple[Any, Any] | None]
AfterModule = Callable[[nn.Module, Any], Any]
Loss = Callable[..., Any]


class Site:
    """The places in one program. `close()` puts everything back.

    acted  how often a treatment changed anything
    names  of modules and parameters, as findings have them
    """

    def __init__(self) -> None:
        self.acted = 0
        self.record: Record | None = None
        self.names = Names()
        self.optimizers: list[Optimizer] = []
        self._patches = Patches()
        self._in_front: list[Callable[[], None]] = []
        self._depth = 0
        self._changing = False
        self._root: tuple[torch.Tensor, torch.Tensor] | None = None  # of the last backward pass
        self._met = ByIdentity[nn.Module, None]()
        self._first: list[Callable[[nn.Module], None]] = []
        self._before_model: list[BeforeModel] = []
        self._after_model: list[AfterModule] = []
        self._before_module: list[BeforeModel] = []
        self._after_module: list[AfterModule] = []
        self._before_backward: list[Callable[[torch.Tensor], torch.Tensor | None]] = []
        self._after_backward: list[Callable[[], None]] = []
        self._optimizer_made: list[Callable[[Optimizer], None]] = []
        self._ready: list[Callable[[Optimizer], None]] = []
        self._before_step: list[Callable[[Optimizer], None]] = []
        self._after_step: list[Callable[[Optimizer], None]] = []
        self._open()

    def done(self) -> None:
        """A treatment has changed something."""
        self.acted += 1

    def begin(self, record: Record | None = None) -> None:
        """Whoever watches the program is in its place: what stands in front of it comes now.

        `record` is what is seen of the program, as it grows.
        """
        self.record = record
        while self._in_front:
            self._in_front.pop(0)()

    def close(self) -> None:
        """Take every hook away."""
        self._patches.undo()

    # -- what a treatment asks for -----------------------------------------------------------

    def in_front(self, install: Callable[[], None]) -> None:
        """Installed last, so that who watches sees the program's calls as they are changed."""
        self._in_front.append(install)

    def first_call(self, act: Callable[[nn.Module], None]) -> None:
        """Once for each model, before its first call by the program."""
        self._first.append(act)

    def before_model(self, act: BeforeModel) -> None:
        """A model is called: `act(model, args, kwargs)` may return other arguments."""
        self._before_model.append(act)

    def after_model(self, act: AfterModule) -> None:
        """It answers: `act(model, answer)` returns the answer to go on with."""
        self._after_model.append(act)

    def before_module(self, act: BeforeModel) -> None:
        """Any module, a part of a model too, is called: as `before_model`."""
        self._before_module.append(act)

    def after_module(self, act: AfterModule) -> None:
        """Any module, a part of a model too, answers: as `after_model`."""
        self._after_module.append(act)

    def before_backward(self, act: Callable[[torch.Tensor], torch.Tensor | None]) -> None:
        """Backward begins from a tensor: another may be returned."""
        self._before_backward.append(act)

    def after_backward(self, act: Callable[[], None]) -> None:
        """It has ended."""
        self._after_backward.append(act)

    def optimizer_made(self, act: Callable[[Optimizer], None]) -> None:
        """An optimizer was constructed."""
        self._optimizer_made.append(act)

    def before_step(self, act: Callable[[Optimizer], None]) -> None:
        """`optimizer.step` begins; where it is given a closure, gradients are still to come."""
        self._before_step.append(act)

    def gradients_ready(self, act: Callable[[Optimizer], None]) -> None:
        """The gradients of a step are there, and the update is not yet made."""
        self._ready.append(act)

    def after_step(self, act: Callable[[Optimizer], None]) -> None:
        """The update is made."""
        self._after_step.append(act)

    def replace(self, owner: Any, name: str, around: Around) -> None:
        """`around(original, *args, **kwargs)` in place of `owner.name`."""

        def make(original: Any) -> Any:
            @functools.wraps(original)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                return around(original, *args, **kwargs)

            return wrapper

        self._patches.replace(owner, name, make)

    def losses(self, around: Loss) -> None:
        """`around(name, original, arguments)` in place of every loss function of torch.

        `arguments` are by name, as the function's signature has them; `original(**arguments)` goes
        on.
        """
        for name in LOSSES:
            self.replace(functional, name, self._loss(name, around))

    def loaders(self, change: Callable[[inspect.BoundArguments], None]) -> None:
        """A `DataLoader` is made: `change` may set other arguments."""
        signature = inspect.signature(DataLoader.__init__)

        def init(original: Any, *args: Any, **kwargs: Any) -> None:
            bound = signature.bind(*args, **kwargs)
            change(bound)
            original(*bound.args, **bound.kwargs)

        self.replace(DataLoader, "__init__", init)

    def meant(self, optimizer: Optimizer, where: str) -> bool:
        """Whether a finding's `where` is this optimizer, numbered as made (`optimizer 2`), or none.

        Those that are not numbered, and places of other kinds, mean every optimizer.
        """
        kind, _, number = where.partition(" ")
        if kind != "optimizer" or not number.isdigit():
            return True
        return any(o is optimizer for o in self.optimizers[int(number) - 1 : int(number)])

    def module(self, model: nn.Module, path: str) -> nn.Module | None:
        """The part of a model that a finding calls `path`."""
        self.names.adopt(model)
        return next((m for m in model.modules() if self.names.path(m) == path), None)

    def parameters(self, model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
        """The parameters of a model by the names that findings give them."""
        self.names.adopt(model)
        for parameter in model.parameters():
            yield self.names.of(parameter) or "", parameter

    # -- torch's side ------------------------------------------------------------------------

    def _open(self) -> None:
        names, patches = self.names, self._patches
        modules = torch_module.register_module_module_registration_hook
        parameters = torch_module.register_module_parameter_registration_hook
        patches.hook(modules(names.registered))
        patches.hook(parameters(lambda owner, _name, _parameter: names.parameter_registered(owner)))
        patches.hook(register_optimizer_step_pre_hook(self._step_begins))
        patches.hook(register_optimizer_step_post_hook(self._step_ends))
        self.replace(nn.Module, "__call__", self._called)
        self.replace(torch.Tensor, "backward", self._from_tensor)
        self.replace(torch.autograd, "backward", self._backward)
        self.replace(Optimizer, "__init__", self._made)

    def _called(self, original: Any, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        outer = self._depth == 0 and any(True for _ in module.parameters())
        if outer:
            args, kwargs = self._entering(module, args, kwargs)
        for change in self._before_module:
            args, kwargs = change(module, args, kwargs) or (args, kwargs)
        self._depth += outer or self._depth > 0
        try:
            answer = original(module, *args, **kwargs)
        finally:
            self._depth = max(0, self._depth - 1)
        for act in self._after_module:
            answer = act(module, answer)
        if outer:
            for act in self._after_model:
                answer = act(module, answer)
        return answer

    def _entering(self, model: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        if model not in self._met:
            self._met[model] = None
            self.names.adopt(model)
            for act in self._first:
                act(model)
        for change in self._before_model:
            args, kwargs = change(model, args, kwargs) or (args, kwargs)
        return args, kwargs

    def _from_tensor(self, original: Any, root: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """`loss.backward()`: changed here, whoever watches `torch.autograd.backward` sees it."""
        changed = self._changed(root)
        self._changing = True
        try:
            return original(changed, *args, **kwargs)
        finally:
            self._changing = False

    def _changed(self, root: torch.Tensor) -> torch.Tensor:
        changed = root
        for act in self._before_backward:
            other = act(changed)
            changed = changed if other is None else other
        self._root = (root, changed)
        return changed

    def _backward(self, original: Any, tensors: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(tensors, torch.Tensor) and not self._changing:
            tensors = self._changed(tensors)
        result = original(tensors, *args, **kwargs)
        for after in self._after_backward:
            after()
        return result

    def _made(self, original: Any, optimizer: Optimizer, *args: Any, **kwargs: Any) -> None:
        original(optimizer, *args, **kwargs)
        self.optimizers.append(optimizer)
        for group in optimizer.param_groups:  # models are numbered as the observer numbers them
            for parameter in group["params"]:
                self.names.of(parameter)
        for act in self._optimizer_made:
            act(optimizer)

    def _step_begins(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        for act in self._before_step:
            act(optimizer)
        return self._with_gradients(optimizer, args, kwargs)

    def _with_gradients(self, optimizer: Optimizer, args: Any, kwargs: Any) -> Any:
        """Have `gradients_ready` told behind the closure, where there is one.

        What the closure returns is what its backward pass began from.
        """
        if not self._ready and not self._before_backward:
            return None
        closure = args[1] if len(args) > 1 else kwargs.get("closure")

        def ready() -> None:
            for act in self._ready:
                act(optimizer)

        if closure is None:
            ready()
            return None

        def closing() -> Any:
            loss = closure()
            ready()
            if self._root is not None and loss is self._root[0]:
                return self._root[1].detach()
            return loss

        if len(args) > 1:
            return (args[0], closing, *args[2:]), kwargs
        return args, {**kwargs, "closure": closing}

    def _step_ends(self, optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        self._root = None
        for act in self._after_step:
            act(optimizer)

    @staticmethod
    def _loss(name: str, around: Loss) -> Around:
        signature = inspect.signature(getattr(functional, name))

        def calling(original: Any, *args: Any, **kwargs: Any) -> Any:
            arguments = signature.bind(*args, **kwargs).arguments
            return around(name, original, dict(arguments))

        return calling
