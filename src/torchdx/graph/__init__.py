"""Loss graphs: from torch's nodes to plain data."""
