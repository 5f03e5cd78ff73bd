"""No false alarm: healthy programs of every kind, and third-party models with their losses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.healthy_pairs import PAIRS
from tests.support import observed
from torchdx.record.reader import read
from torchdx.rules.ranking import diagnose

PROGRAMS = Path(__file__).parent / "programs"
SCRIPTS = sorted(p.stem for p in PROGRAMS.glob("*.py") if not p.stem.startswith("_"))
LAUNCHED = {"ddp_gloo": ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]}
STEPS = 4


def alarms(record) -> list[str]:
    return [f"{f.code} {f.text}" for f in diagnose(record).findings if f.severity != "note"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_healthy_program_is_not_alarmed(name, tmp_path):
    path = tmp_path / "run.dx"
    start = [sys.executable, "-m", "torchdx", "run", "-q", "--record", str(path)]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [*start, *LAUNCHED.get(name, []), str(PROGRAMS / f"{name}.py")],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    record = read(path)
    assert record.trained
    assert record.end["failure"] is None
    assert alarms(record) == []


@pytest.mark.filterwarnings("default")  # theirs
@pytest.mark.parametrize("name", PAIRS)
def test_a_healthy_third_party_model_is_not_alarmed(name, tmp_path):
    torch.manual_seed(0)

    def program() -> None:
        model, loss = PAIRS[name]()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()

    record = observed(program, tmp_path / "run.dx")
    assert record.steps == STEPS
    assert alarms(record) == []
