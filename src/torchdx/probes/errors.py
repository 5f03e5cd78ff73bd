"""Why a probe cannot be made; inside `torchdx.probes` only."""


class CannotMeasure(Exception):  # noqa: N818  # it names a reason, caught before anyone else sees it
    """Raised within a probe, turned into `Unmeasured` at its edge."""
