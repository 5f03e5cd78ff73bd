"""Watching changes nothing: losses, weights and random state stay equal to the last bit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"

FAST = ["raw_mlp", "resnet20", "small_gpt", "lbfgs", "gan", "accumulation"]
FRAMEWORKS = ["lightning_fit", "hf_trainer"]
SLOW = [
    "accelerate_loop",
    "checkpointing",
    "compiled",
    "data_sgd",
    "grad_scaler",
    "maml_like",
    "truncated_bptt",
    "wgan_gp",
    "workers",
]


def output(start: list[str], program: str, folder: Path) -> str:
    """What a program prints: every loss, and digests of weights and random state at the end."""
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [*start, str(PROGRAMS / f"{program}.py")],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


def check(program: str, folder: Path) -> None:
    plain = output([sys.executable], program, folder)
    watched = output([sys.executable, "-m", "torchdx", "run"], program, folder)
    assert "weights" in plain
    assert "rng" in plain
    assert watched == plain


@pytest.mark.parametrize("program", FAST)
def test_a_watched_program_prints_the_same_to_the_last_bit(program, tmp_path):
    check(program, tmp_path)


@pytest.mark.parametrize("program", FRAMEWORKS)
def test_a_watched_framework_prints_the_same_to_the_last_bit(program, tmp_path):
    check(program, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("program", SLOW)
def test_other_watched_programs_print_the_same_to_the_last_bit(program, tmp_path):
    check(program, tmp_path)
