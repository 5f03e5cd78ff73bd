"""Seeds, and the fingerprints by which two runs of a program are compared byte for byte."""

import hashlib
import random

import numpy as np
import torch


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def print_digest(*models):
    """Prints a hash of all parameters and buffers, in order, and one of the three random states."""
    weights = hashlib.sha256()
    for model in models:
        for tensor in (*model.parameters(), *model.buffers()):
            weights.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    print("weights", weights.hexdigest())

    kind, keys, position, has_gauss, gauss = np.random.get_state()
    rng = hashlib.sha256(torch.get_rng_state().numpy().tobytes())
    rng.update(repr(random.getstate()).encode())
    rng.update(keys.tobytes() + repr((kind, int(position), int(has_gauss), float(gauss))).encode())
    print("rng", rng.hexdigest())
