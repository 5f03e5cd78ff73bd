"""Where a model's dropout layers are: what the rules of this family ask of the record."""

from torchdx.record.model import Record


def dropouts_of(record: Record, model: str) -> list[str]:
    """Paths of the dropout layers of a model, in order."""
    inner = model + "." if model else ""
    return [
        path
        for held in record.models
        for path, cls in held.modules.items()
        if cls.endswith("Dropout") or cls.startswith("Dropout")
        if path.startswith(inner)
    ]
