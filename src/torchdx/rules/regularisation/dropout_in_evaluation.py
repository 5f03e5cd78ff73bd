"""dropout-in-evaluation (R02): dropout is at work in evaluation mode too.

## What is seen
A copy of the model, in evaluation mode, is asked twice for the same batch and answers differently;
among the functions that drew random numbers in between is a dropout. Usually it is a call of
`F.dropout` without `training=`, whose default is True, a `dropout_p` of attention that is passed in
every mode, or a dropout layer that is made anew inside the forward and so always in training mode.
## Why the net does not learn
It may, but what is measured and predicted is not what it has learnt: units are dropped at random,
so that validation is worse than it should be, and the same input gets another answer each time.
## When this is wrong
Dropout in evaluation on purpose, to measure how sure a net is (Monte Carlo dropout). A call that
says `training=True`, and a dropout layer that the program keeps in training mode, are passed over.
## What to try
`F.dropout(x, p, training=self.training)`; `dropout_p=self.p if self.training else 0.0`; or an
`nn.Dropout` made in `__init__`.
## Sources
joosthub/PyTorchNLPBook issue 28; huggingface/transformers issue 33844; documentation of
`torch.nn.functional.dropout` and `scaled_dot_product_attention`; Gal & Ghahramani 2016 (dropout as
Bayesian approximation) for the purpose that is passed over.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torchdx.record.model import Event, Record
from torchdx.rules.base import Answer, Evidence, Finding, Prescription, rule

# A call that asks for dropout in so many words.
_MEANT = re.compile(r"(training|train)\s*=\s*True|,\s*True\s*\)")
_ATTENTION = frozenset({"scaled_dot_product_attention", "multi_head_attention_forward"})


@rule("R02", "dropout-in-evaluation")
def check(record: Record) -> Iterator[Answer]:
    """One finding for the first model in which it is so."""
    for event in reversed(record.probes("modes")):
        if event.facts["eval_difference"] == 0:
            continue
        for drawn in event.facts["drawn"]:
            if drawn["dropout"] and not _meant(record, event, drawn):
                yield _finding(record, event, drawn)
                return


def _meant(record: Record, event: Event, drawn: Mapping[str, Any]) -> bool:
    line = record.line(drawn["place"])
    if line is not None and _MEANT.search(line.text):
        return True
    return "Dropout" in record.class_of(event.facts["model"], drawn["path"])


def _finding(record: Record, event: Event, drawn: Mapping[str, Any]) -> Finding:
    name, p = drawn["function"], drawn["p"]
    validated = any(p.validation and p.training is False for p in record.phases)
    apart = event.facts["eval_difference"]
    return Finding(
        text=f"{name} with p={p:g} drops values in evaluation mode too: two answers of the model "
        f"to the same batch differ by {apart:.0%} of their size",
        line=record.line(drawn["place"]) or event.line,
        place=drawn["path"] or event.facts["model"],
        severity="fault" if validated else "suspicion",
        confirm=""
        if validated
        else "no evaluation of this model was seen; where there is one, its answers vary",
        evidence=(
            Evidence("difference of two answers to the same batch, relative", apart, 0),
            Evidence("random functions at work in evaluation mode", len(event.facts["drawn"]), 0),
        ),
        prescriptions=(
            Prescription(
                "dropout_switch",
                "pass dropout_p=p if self.training else 0.0"
                if name in _ATTENTION
                else f"call it as F.{name}(x, p, training=self.training)",
                where=drawn["path"],
                to="self.training",
            ),
        ),
    )
