"""Inputs with mean 0 and deviation 1, by the statistics of the first batches that train."""

from typing import Any

import torch
from torch import nn

from torchdx.events.guard import at_work
from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site

BATCHES = 16  # that the statistics are of
TINY = 1e-12  # deviation of a column that is taken as constant
IMAGES = 4  # dimensions: (rows, channels, height, width)


class Scaler:
    """Mean and deviation of batches, gathered until `BATCHES` of them were seen.

    scaler = Scaler()
    scaler.see(x)
    model(scaler.scale(x))

    columns  whether each column (last dimension; of images: channel) has its own; else one number
             for all, and nothing is subtracted
    """

    def __init__(self, *, columns: bool = True) -> None:
        self.columns = columns
        self.batches = 0
        self._count = 0
        self._mean: torch.Tensor | None = None
        self._squares: torch.Tensor | None = None

    def see(self, x: torch.Tensor) -> None:
        """Take one batch in (rows, ...), by Chan's update of mean and squares."""
        if self.batches >= BATCHES:
            return
        self.batches += 1
        rows = self._rows(x.detach().double())
        count, mean = len(rows), rows.mean(0)
        squares = ((rows - mean) ** 2).sum(0)
        if self._mean is None or self._squares is None:
            self._count, self._mean, self._squares = count, mean, squares
            return
        total, apart = self._count + count, mean - self._mean
        self._squares = self._squares + squares + apart**2 * (self._count * count / total)
        self._mean = self._mean + apart * (count / total)
        self._count = total

    def scale(self, x: torch.Tensor) -> torch.Tensor:
        """The batch as the model is to have it; as it is before any was seen."""
        if self._mean is None or self._squares is None:
            return x
        deviation = (self._squares / self._count).sqrt()
        deviation = torch.where(deviation > TINY, deviation, torch.ones_like(deviation))
        mean = self._mean if self.columns else torch.zeros_like(self._mean)
        form = (1, -1, *[1] * (x.dim() - 2)) if x.dim() >= IMAGES and self.columns else (-1,)
        scaled = (x.double() - mean.view(form)) / deviation.view(form)
        return scaled.to(x.dtype)

    def _rows(self, x: torch.Tensor) -> torch.Tensor:
        if not self.columns:
            return x.reshape(-1, 1)
        if x.dim() >= IMAGES:
            return x.transpose(1, -1).reshape(-1, x.shape[1])
        return x.reshape(-1, x.shape[-1])


def scale_inputs(site: Site, *, columns: bool) -> None:
    """The first tensor of real numbers that a model is given, in training and evaluation alike."""
    scalers: dict[int, Scaler] = {}

    def before(model: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        place = next((i for i, x in enumerate(args) if _raw(x)), None)
        if place is None or at_work():  # an examination has what the model was given: scaled
            return None
        x = args[place]
        scaler = scalers.setdefault(id(site.names.top(model)), Scaler(columns=columns))
        if torch.is_grad_enabled() and model.training:
            scaler.see(x)
        if scaler.batches:
            site.done()
        return (*args[:place], scaler.scale(x), *args[place + 1 :]), kwargs

    site.before_model(before)


def _raw(value: Any) -> bool:
    """Whether it is data, not what another model made."""
    real = isinstance(value, torch.Tensor) and value.is_floating_point()
    return real and value.dim() > 1 and value.grad_fn is None


@treatment("standardise")
def install(site: Site, prescription: Prescription) -> None:
    """Each column by its own mean and deviation."""
    del prescription
    scale_inputs(site, columns=True)


@treatment("scale_inputs")
def install_scale(site: Site, prescription: Prescription) -> None:
    """All inputs by one number, their deviation; zeros stay zeros."""
    del prescription
    scale_inputs(site, columns=False)
