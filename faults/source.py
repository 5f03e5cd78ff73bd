"""A program's source, to be edited where its syntax tree says."""

import ast

Edit = tuple[int, int, str]  # from this offset to that one stands this text instead


class Source:
    """A program's text with its syntax tree and the edits that are to be made."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self._edits: list[Edit] = []
        self._starts = [0]
        for line in text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def calls(self, *names: str) -> list[ast.Call]:
        """Calls of functions with these last names, in the order of the text."""
        found = [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]
        named = [call for call in found if last_name(call) in names]
        return sorted(named, key=lambda call: (call.lineno, call.col_offset))

    def replace(self, node: ast.expr, text: str) -> None:
        """Put a text in the place of an expression."""
        self._edits.append((*self._span(node), text))

    def delete(self, statement: ast.stmt) -> None:
        """Take a statement's lines away."""
        end = self._starts[statement.end_lineno or statement.lineno]
        self._edits.append((self._starts[statement.lineno - 1], end, ""))

    def insert(self, line: int, text: str) -> None:
        """Put lines before a line."""
        self._edits.append((self._starts[line - 1], self._starts[line - 1], text))

    def statement_of(self, node: ast.expr) -> ast.stmt:
        """The innermost statement in which an expression stands."""
        around = [
            s
            for s in ast.walk(self.tree)
            if isinstance(s, ast.stmt) and any(part is node for part in ast.walk(s))
        ]
        return max(around, key=lambda s: s.lineno)

    def edited(self) -> str | None:
        """The new text; None when nothing was to be changed."""
        text = self.text
        for start, end, new in sorted(self._edits, reverse=True):
            text = text[:start] + new + text[end:]
        return text if text != self.text else None

    def _span(self, node: ast.expr) -> tuple[int, int]:
        line, column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return self._starts[node.lineno - 1] + node.col_offset, self._starts[line - 1] + column


def last_name(call: ast.Call) -> str:
    """`Linear` of `torch.nn.Linear(...)`."""
    return ast.unparse(call.func).rsplit(".", 1)[-1]


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The value of a keyword argument."""
    return next((k.value for k in call.keywords if k.arg == name), None)
