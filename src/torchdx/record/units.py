"""The units of what is measured, as `docs/record-format.md` lists them."""

from collections.abc import Mapping

_SHARES = """
activation.zeros activation.beyond3 activation.beyond6 row.spread unit.dead unit.still
output_gradient.zeros weight.alike prediction.accuracy prediction.top_share
optimizer.eps_share thread.running thread.queued thread.blocked wait.running wait.queued
wait.blocked wait.collating workers.running device.starved accuracy.validation
"""
_SECONDS = """
time.data time.compute time.other time.before time.apart time.starting wait.own
"""
# Ratios, and values in the program's own units.
_WITHOUT = """
activation.mean activation.std activation.gain channel.mean_rms channel.std_rms weight.norm
update.norm weight.gain optimizer.weight_norm optimizer.update_norm optimizer.lr
optimizer.decay_ratio clip.ratio prediction.mean prediction.std prediction.min prediction.max
prediction.correlation target.mean target.std target.min target.max noise.square noise.spread
loss.head loss.training loss.validation curvature.lambda_max
curvature.lambda_max.low curvature.lambda_max.high curvature.lr_ratio
"""

UNITS: Mapping[str, str] = {
    **dict.fromkeys(_WITHOUT.split(), ""),
    **dict.fromkeys(_SHARES.split(), "share"),
    **dict.fromkeys(_SECONDS.split(), "s"),
    "output_gradient.rms": "loss per output",
    "gradient.norm": "loss per weight",
    "optimizer.gradient_norm": "loss per weight",
    "batch.rows": "rows",
    "noise.rows": "rows",
    "prediction.entropy": "nats",
    "target.entropy": "nats",
    "memory.resident": "bytes",
    "memory.allocated": "bytes",
}


def unit_of(signal: str) -> str:
    """What one of it is; empty for ratios, for the program's own units and where not known."""
    return UNITS.get(signal, "")
