"""The texts in the package's code, as users may meet them."""

import ast
from collections.abc import Iterator
import pathlib

_PACKAGE = pathlib.Path(__file__).parent.parent / 'maml_tf'
# Calls whose texts are errors or warnings.
_REPORTS = ('UsageError', 'RunError', 'print_error', 'warn')


def _text(node: ast.AST) -> str:
  """Returns a literal with '…' for what is inserted; '' for other code."""
  if isinstance(node, ast.Constant) and isinstance(node.value, str):
    return ' '.join(node.value.split())
  if isinstance(node, ast.JoinedStr):
    parts = [
      part.value if isinstance(part, ast.Constant) else '…'
      for part in node.values
    ]
    return ' '.join(''.join(map(str, parts)).split())
  return ''


def _texts(node: ast.AST) -> Iterator[str]:
  """Yields the longest literals in a piece of code."""
  text = _text(node)
  if text:
    yield text
    return
  for child in ast.iter_child_nodes(node):
    yield from _texts(child)


def _trees() -> Iterator[tuple[str, ast.Module]]:
  for path in sorted(_PACKAGE.rglob('*.py')):
    name = str(path.relative_to(_PACKAGE))
    yield name, ast.parse(path.read_text(encoding='utf-8'))


def all_texts() -> set[str]:
  """Returns all literals of the package."""
  return {text for _, tree in _trees() for text in _texts(tree)}


def errors() -> list[tuple[str, str]]:
  """Returns (module, text) of each error and warning that has a remedy.

  A text without a colon is a part of a line, such as a number's unit.
  """
  found = []
  for name, tree in _trees():
    for node in ast.walk(tree):
      is_report = (
        isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition('.')[2] in _REPORTS
      )
      if is_report or isinstance(node, ast.Raise):
        found += [
          (name, text)
          for text in _texts(node)
          if ': ' in text and text.count(' ') > 3
        ]
  return found
