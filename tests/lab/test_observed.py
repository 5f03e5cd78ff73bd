import pytest

from torchdx.errors import CallError
from torchdx.lab.observed import observed

SUMMED = """
import json, sys
import torch
from torch import nn
torch.manual_seed(int(sys.argv[1]))
x, y = torch.randn(512, 8), torch.randint(0, 3, (512,))
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
criterion = nn.CrossEntropyLoss(reduction="sum")
for step in range(30):
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
print("done")
print(json.dumps({"seed": float(sys.argv[1])}))
"""


@pytest.mark.slow
def test_a_script_is_run_with_its_seed_and_told_of():
    seen = observed(SUMMED, "summed", 3)
    assert seen.results == {"seed": 3.0}
    assert seen.first == "L09"
    assert seen.alarms >= 1
    healthy = observed(SUMMED.replace('reduction="sum"', ""), "averaged", 3)
    assert healthy.first != "L09"


@pytest.mark.slow
def test_a_script_without_a_result_is_an_error_that_says_why():
    with pytest.raises(CallError, match=r"broken.py gave no result: .*no such thing"):
        observed("raise SystemExit('no such thing')", "broken", 0)
