"""All that an arm imports, imported: a nursery does it once, for every arm that it forks."""

from torchdx.rules.base import all_rules
from torchdx.treatments.base import all_treatments
from torchdx.trials import child, examiner, redirecting, seeding, stopping

__all__ = ["child", "examiner", "redirecting", "seeding", "stopping"]

all_rules()
all_treatments()
