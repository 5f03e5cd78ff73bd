"""The exceptions of torchdx.

TorchdxError
├── CallError      the call was wrong: an option, a name, a combination
├── RecordError    the material was wrong: a record missing, torn, foreign or newer
└── NurseryError   the process that starts programs is gone: killed, or it never came up

A message has four parts, short: what was asked, what was found, the likely cause, the next step.
Only `torchdx.cli` prints them and turns them into exit codes.
"""


class TorchdxError(Exception):
    """Anything that torchdx itself refuses to do."""


class CallError(TorchdxError):
    """The call cannot be carried out as it was written."""


class RecordError(TorchdxError):
    """A record cannot be read."""


class NurseryError(TorchdxError):
    """No program can be started by it any more."""
