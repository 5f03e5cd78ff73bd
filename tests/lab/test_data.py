import gzip

import numpy as np
import pytest
import torch

from torchdx.errors import CallError
from torchdx.lab import data


def test_digits_are_those_that_the_studies_were_written_with():
    images = data.digits()
    assert images.pixels.shape == (1797, 1, 8, 8)
    assert (float(images.pixels.min()), float(images.pixels.max())) == (0.0, 1.0)
    assert images.labels[:4].tolist() == [0, 1, 2, 3]


@pytest.mark.slow
def test_mnist_is_read_once_and_then_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = data.mnist()
    assert first.labels.bincount().tolist() == [500] * 10
    kept = tmp_path / "torchdx" / "mnist-5k.npz"
    assert kept.exists()
    monkeypatch.setattr(data, "_mnist", None)
    assert torch.equal(data.mnist().pixels, first.pixels)


def test_what_is_kept_and_torn_is_read_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    arrays = (np.zeros((2, 3, 3), np.uint8), np.zeros(2, np.uint8))
    assert data._cached("set", lambda: arrays)[0].shape == (2, 3, 3)
    kept = tmp_path / "torchdx" / "set.npz"
    kept.write_bytes(kept.read_bytes()[:-100])
    other = (np.ones((2, 3, 3), np.uint8), np.zeros(2, np.uint8))
    assert data._cached("set", lambda: other)[0].max() == 1


def test_a_cache_that_cannot_be_written_to_does_not_matter(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    arrays = (np.zeros((2, 3, 3), np.uint8), np.zeros(2, np.uint8))
    assert data._cached("set", lambda: arrays) is arrays


@pytest.mark.skipif(not data.FASHION_FILES.exists(), reason="no dataset-fashion-mnist here")
def test_fashion_mnist_is_read_from_the_files_of_the_system():
    images = data.fashion("test")
    assert images.pixels.shape == (10000, 1, 28, 28)
    assert images.labels.bincount().tolist() == [1000] * 10


def test_other_rows_than_the_studies_were_written_with_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "FASHION_FILES", tmp_path)
    for stem in ("train", "t10k"):
        image = b"\0" * 16 + b"\1" * 784
        (tmp_path / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(image))
        (tmp_path / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"\0" * 9))
    with pytest.raises(CallError, match="fashion-test is not what the studies were written with"):
        data.fashion("test")
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(b"torn")
    with pytest.raises(CallError, match=r"cannot read Fashion-MNIST: .*--reinstall"):
        data.fashion("test")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_downloaded_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(data, "FASHION_FILES", tmp_path)
    with pytest.raises(CallError, match="cifar10 is not on this machine, and cannot be downloaded"):
        data.cifar10()
    with pytest.raises(CallError, match="On Debian: apt-get install dataset-fashion-mnist"):
        data.fashion()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_pictures_of_a_hugging_face_dataset_become_arrays():
    import datasets

    pixels = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    kinds = datasets.Features({"img": datasets.Image(), "label": datasets.Value("int64")})
    table = datasets.Dataset.from_dict({"img": list(pixels), "label": [7, 3]}, features=kinds)
    found, labels = data.arrays_of(table, "img", "label")
    assert (found == pixels).all()
    assert labels.tolist() == [7, 3]
    images = data._images("photographs", (found, labels))
    assert images.pixels.shape == (2, 3, 4, 4)
    assert torch.allclose(images.pixels[1, 2] * 255, torch.from_numpy(pixels[1, :, :, 2]).float())


def test_images_are_parted_pooled_and_standardised():
    images = data.digits()
    first, rest = images.parted(1000, seed=1)
    assert (len(first), len(rest)) == (1000, 797)
    assert torch.equal(first.pixels, images.parted(1000, seed=1)[0].pixels)
    both = torch.cat([first.flat, rest.flat]).sum()
    assert torch.isclose(both, images.flat.sum())
    small = images.pooled(4)
    assert torch.isclose(small.pixels[0, 0, 0, 0], images.pixels[0, 0, :2, :2].mean())
    plain = images.standardised().pixels
    assert abs(float(plain.mean())) < 1e-5
    assert abs(float(plain.std()) - 1) < 1e-5


def test_made_data_are_what_they_say():
    x, y = data.blobs(3000, classes=2, features=5, apart=4.0, seed=3)
    centres = torch.stack([x[y == k].mean(0) for k in range(2)])
    assert torch.allclose(centres.norm(dim=1), torch.tensor([4.0, 4.0]), atol=0.2)
    x, y, weights = data.linear(4000, 3, noise=0.5, seed=1)
    assert abs(float((y - x @ weights).std()) - 0.5) < 0.02
    x, y = data.spirals(2000, noise=0.0, seed=1)
    line = torch.linalg.lstsq(torch.cat([x, torch.ones(2000, 1)], 1), 2.0 * y[:, None] - 1)
    right = (torch.cat([x, torch.ones(2000, 1)], 1) @ line.solution > 0)[:, 0] == y.bool()
    assert float(right.float().mean()) < 0.8
