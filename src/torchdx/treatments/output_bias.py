"""An output whose bias begins at what the shares of the classes ask for."""

from collections.abc import Sequence

import torch
from torch import nn

from torchdx.rules.base import Prescription
from torchdx.treatments.base import treatment
from torchdx.treatments.site import Site

RAREST = 1e-4  # share that a class is taken to have at least


def bias_of(shares: Sequence[float], outputs: int) -> torch.Tensor:
    """The bias (outputs,) with which a net that knows nothing else answers the shares.

    Args:
        shares: of the classes, together one; for one output those of no and yes.
        outputs: as many as classes (the logarithms of the shares), or 1 (that of their odds).

    Raises:
        ValueError: there is another number of outputs.
    """
    bounded = torch.tensor(list(shares), dtype=torch.float64).clamp_min(RAREST)
    if outputs == len(shares):
        return torch.log(bounded)
    if outputs == 1 and len(shares) == 2:  # noqa: PLR2004
        return torch.log(bounded[1:] / bounded[:1])
    msg = f"{len(shares)} shares, {outputs} outputs"
    raise ValueError(msg)


@treatment("output_bias")
def install(site: Site, prescription: Prescription) -> None:
    """`where` names the bias, `to` the shares: `0.9,0.1`. Set before the model's first call."""
    shares = [float(each) for each in prescription.to.split(",") if each]

    def first(model: nn.Module) -> None:
        for name, parameter in site.parameters(model):
            if name != prescription.where or parameter.dim() != 1:
                continue
            if len(parameter) in {1, len(shares)} and shares:
                with torch.no_grad():
                    parameter.copy_(bias_of(shares, len(parameter)))
                site.done()

    site.first_call(first)
