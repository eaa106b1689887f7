"""The package's structure: its rooms, their imports, the size of modules."""

import ast
import pathlib
import re

import pytest

import maml_tf

_PACKAGE = pathlib.Path(maml_tf.__file__).parent
_ROOT = pathlib.Path(__file__).parents[1]

# From top to bottom. A room may import the rooms above it. Its own modules may
# import each other if the imports are not circular.
ROWS = (
  ('core',),
  ('environments',),
  ('collection',),
  ('learning',),
  ('evaluation', 'serving'),
  ('run',),
  ('adaptation', 'video', 'testing', 'comparison'),
  ('policies', 'sweeping'),
  ('commands',),
  # maml_tf/__init__.py, which exports names of the rooms.
  ('',),
  (
    'train',
    'evaluate',
    'export',
    'render',
    'plot',
    'compare',
    'settings',
    'list',
    'sweep',
    '__main__',
  ),
)
ROOMS = [room for row in ROWS[:-2] for room in row]
# They import no TensorFlow.
_LIGHT = ('plot', 'compare', 'list', '__main__')


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


def test_imports_are_not_circular():
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


def _reached(name):
  """The modules that a module imports, directly or through others."""
  reached, pending = set(), [name]
  while pending:
    new = _imports(SOURCES[pending.pop()], SOURCES) - reached
    reached |= new
    pending += new
  return reached


@pytest.mark.parametrize(
  'name',
  # Importing maml_tf in a program imports the agent.
  [
    'learning.maml_agent',
    'commands.adapt',
    *(f'commands.{name}' for name in ROWS[-1] if name not in _LIGHT),
  ],
)
def test_programs_and_commands_mend_tf_agents(name):
  assert 'core.tf_agents_on_numpy2' in _reached(name)


def _rooms_of_build():
  """The rooms in BUILD, and the rooms that each depends on."""
  tree = ast.parse((_ROOT / 'BUILD').read_text(encoding='utf-8'))
  (rooms,) = (
    node.value
    for node in tree.body
    if isinstance(node, ast.Assign) and node.targets[0].id == '_ROOMS'
  )
  return ast.literal_eval(rooms)


def test_build_and_the_architecture_name_the_same_rooms():
  folders = sorted(p.name for p in _PACKAGE.iterdir() if _is_room(p))
  assert sorted(ROOMS) == folders
  assert list(_rooms_of_build()) == ROOMS
  text = (_ROOT / 'docs' / 'architecture.md').read_text(encoding='utf-8')
  rows = re.findall(r'(?m)^\| `(\w+)` \|', text)
  assert [name for name in rows if name in ROOMS] == ROOMS


def _is_room(path):
  return (path / '__init__.py').exists() and path.name != 'gin_configs'


def test_build_knows_every_import_between_rooms():
  needed = {room: set() for room in ROOMS}
  for name in SOURCES:
    room = name.split('.')[0]
    for imported in _imports(SOURCES[name], SOURCES):
      other = imported.split('.')[0]
      if room in needed and other in needed and other != room:
        needed[room].add(other)
  assert {room: set(others) for room, others in _rooms_of_build().items()} == (
    needed
  )


def test_the_top_holds_command_lines_alone():
  names = {path.name for path in _PACKAGE.glob('*.py')}
  assert names == {'__init__.py', *(f'{name}.py' for name in ROWS[-1])}


@pytest.mark.parametrize('path', sorted(_PACKAGE.rglob('*.py')), ids=str)
def test_modules_and_functions_are_short(path):
  text = path.read_text(encoding='utf-8')
  assert len(text.splitlines()) <= 400
  for node in ast.walk(ast.parse(text)):
    if isinstance(node, ast.FunctionDef):
      length = node.end_lineno - node.lineno + 1
      assert length <= 80, f'{node.name} has {length} lines'


def test_tests_hardly_reach_into_private_attributes():
  found = []
  for path in sorted((_ROOT / 'tests').rglob('*.py')):
    tree = ast.parse(path.read_text(encoding='utf-8'))
    own = _own_private_names(tree)
    found += [
      f'{path.name}:{node.lineno} {node.attr}'
      for node in ast.walk(tree)
      if isinstance(node, ast.Attribute)
      and re.match('_[a-z]', node.attr)
      and node.attr not in own | {'_replace', '_asdict', '_fields', '_make'}
      and ast.unparse(node) != 'os._exit'
    ]
  assert len(found) <= 10, found


def _own_private_names(tree):
  """Private names that a file defines or assigns on `self`, or its bases'."""
  names = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
  return names | {
    node.attr
    for node in ast.walk(tree)
    if isinstance(node, ast.Attribute)
    and isinstance(node.value, (ast.Name, ast.Call))
    and ast.unparse(node.value) in ('self', 'super()')
  }
