"""Linear nets of two and three layers, at zero: saddles whose curvature is known exactly."""

import torch

SHAPES = {2: [(4, 6), (3, 4)], 3: [(4, 6), (4, 4), (3, 4)]}  # outputs and inputs, by depth
ROWS = 200


def half_square(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Half the squared distance to the targets, the mean over rows."""
    found: torch.Tensor = 0.5 * ((scores - targets) ** 2).sum(1).mean()
    return found


class LinearNet:
    """Six inputs, three outputs that are a linear map of them, and the weights, all zero.

    Called, it gives its loss. With two layers zero is a strict saddle: the Hessian's outermost
    eigenvalues are plus and minus `sharpness`. With three the Hessian is zero.
    """

    def __init__(self, depth: int, seed: int) -> None:
        self.draw = torch.Generator().manual_seed(seed)
        self.inputs = self.noise((ROWS, 6))
        self.map = self.noise((3, 6)) / 6**0.5
        self.weights = [torch.zeros(s, dtype=torch.float64) for s in SHAPES[depth]]
        for weight in self.weights:
            weight.requires_grad_()

    def noise(self, shape: torch.Size | tuple[int, ...]) -> torch.Tensor:
        """Gaussian numbers, the next ones of the seed."""
        return torch.randn(shape, generator=self.draw, dtype=torch.float64)

    def __call__(self) -> torch.Tensor:
        """The loss."""
        answers = self.inputs
        for weight in self.weights:
            answers = answers @ weight.T
        return half_square(answers, self.inputs @ self.map.T)

    def sharpness(self) -> float:
        """The largest singular value of the mean product of targets and inputs."""
        cross = self.map @ self.inputs.T @ self.inputs / ROWS
        return float(torch.linalg.matrix_norm(cross, 2))

    @torch.no_grad()
    def displaced(self, length: float) -> "LinearNet":
        """Itself, with every weight moved by about this."""
        for weight in self.weights:
            weight.add_(length * self.noise(weight.shape))
        return self

    @torch.no_grad()
    def solved(self) -> "LinearNet":
        """Itself, two layers, at a minimum."""
        left, values, right = torch.linalg.svd(self.map, full_matrices=False)
        self.weights[0][:3] = values.sqrt()[:, None] * right
        self.weights[1][:, :3] = left * values.sqrt()
        return self
