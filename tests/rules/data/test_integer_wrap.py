import pytest
import torch

from tests.rules.data.records import made
from tests.rules.data.training import epochs, run
from tests.support import findings


def pictures(rows=240, size=16):
    """Smooth grey pictures as bytes, (rows, size), in four kinds."""
    kind = torch.arange(rows) % 4
    across = torch.linspace(0, 3, size)
    wave = torch.sin(across * (1 + kind[:, None]) + torch.rand(rows, 1))
    return (127.5 + 110 * wave * (0.5 + 0.5 * torch.rand(rows, 1))).to(torch.uint8), kind


def scaled(x):
    return (x.float() - 100) / 70


def test_a_multiplication_that_wrapped_is_found(tmp_path):
    x, y = pictures()
    (finding,) = findings("D18", run(lambda: epochs(scaled(x * 5), y), tmp_path))
    assert finding.severity == "suspicion"
    assert finding.confidence == "strong"
    assert "multiplied by 5 in 8 bits" in finding.text
    assert "model(x[rows])" in finding.line.text


def test_differences_that_wrapped_are_found(tmp_path):
    x, y = pictures()
    small = (x // 16).to(torch.uint8)
    wrapped = small[:, 1:] - small[:, :-1]
    (finding,) = findings("D18", run(lambda: epochs(scaled(wrapped), y), tmp_path))
    assert "have wrapped in 8 bits" in finding.text


def test_the_same_in_wider_numbers_is_passed_over(tmp_path):
    x, y = pictures()
    wide = (x // 16).to(torch.int16)
    differences = wide[:, 1:] - wide[:, :-1]
    assert not findings("D18", run(lambda: epochs(scaled(differences), y), tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x,
        lambda x: 255 - x,
        lambda x: (x.float() * 5).clamp(0, 255),
        lambda x: torch.where(x > 127, 255, 0),
    ],
)
def test_pictures_that_did_not_wrap_are_passed_over(tmp_path, change):
    x, y = pictures()
    assert not findings("D18", run(lambda: epochs(scaled(change(x)), y), tmp_path))


@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        ({"torn": 0.31}, True),
        ({"torn": 0.29}, False),
        ({"torn": 0.5, "columns": 6}, False),
        ({"modulo": {"factor": 51, "smooth": 0.4, "plain": 0.13}}, True),
        ({"modulo": {"factor": 51, "smooth": 0.15, "plain": 0.05}}, False),
        ({"modulo": {"factor": 51, "smooth": 0.4, "plain": 0.35}}, False),
        ({"modulo": {"factor": 64, "smooth": 0.4, "plain": 0.1}}, False),
        ({"modulo": {"factor": 1, "smooth": 0.4, "plain": 0.4}}, False),
        ({}, False),
    ],
)
def test_what_wrapping_leaves(inputs, found):
    assert bool(findings("D18", made(inputs={"torn": 0.0, "modulo": None} | inputs))) is found
