"""A module imports only from rows above its own."""

import ast
import pathlib

import pytest

import maml_tf

_PACKAGE = pathlib.Path(maml_tf.__file__).parent

# From above to below. A room may import the rooms above it, and its own modules
# as long as the imports do not go in a circle.
ROWS = (
  ('core',),
  ('environments',),
  ('collection',),
  ('learning',),
  ('evaluation', 'serving'),
  ('run',),
  ('adaptation', 'video'),
  # maml_tf/__init__.py, which hands on names of the rooms.
  ('',),
  ('train', 'evaluate', 'export', 'render'),
)
ROOMS = [room for row in ROWS[:-2] for room in row]


def _module_name(path):
  parts = path.relative_to(_PACKAGE).with_suffix('').parts
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def _sources():
  """The package's modules: dotted names below maml_tf, and their syntax."""
  return {
    _module_name(path): ast.parse(path.read_text(encoding='utf-8'))
    for path in sorted(_PACKAGE.rglob('*.py'))
  }


def _imports(tree, names):
  """The dotted names below maml_tf that a module imports."""
  found = set()
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, 'relative import'
      modules = [f'{node.module}.{alias.name}' for alias in node.names]
    else:
      continue
    for module in modules:
      if module.split('.')[0] != 'maml_tf':
        continue
      name = module.removeprefix('maml_tf').removeprefix('.')
      # `from a.module import name` imports a.module.
      found.add(name if name in names else name.rpartition('.')[0])
  return found


def _row(name):
  """The number of a module's row."""
  first = name.split('.')[0]
  rows = [i for i, row in enumerate(ROWS) if first in row]
  assert rows, f'{name} has no row: give it one here'
  return rows[0]


SOURCES = _sources()


@pytest.mark.parametrize('name', SOURCES)
def test_imports_come_from_the_rows_above(name):
  for imported in _imports(SOURCES[name], SOURCES):
    assert _row(imported) <= _row(name), (
      f'{name} imports maml_tf.{imported}, which stands below it'
    )


@pytest.mark.parametrize('name', SOURCES)
def test_no_import_stands_inside_a_function(name):
  for function in ast.walk(SOURCES[name]):
    if isinstance(function, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
      hidden = [
        ast.unparse(node)
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
      ]
      assert not hidden


def test_imports_go_in_no_circle():
  pending = {name: _imports(SOURCES[name], SOURCES) for name in SOURCES}
  while True:
    free = [name for name, imports in pending.items() if not imports]
    if not free:
      break
    for name in free:
      del pending[name]
    for imports in pending.values():
      imports.difference_update(free)
  assert not pending
