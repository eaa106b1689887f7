"""Lists all settings, as the flags of `maml_tf.settings` say."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import importlib
import inspect
import pkgutil
import re
from typing import Any

from absl import flags
import gin

from maml_tf import collection
from maml_tf import environments
from maml_tf import evaluation
from maml_tf import learning
from maml_tf import run
from maml_tf.core import errors
from maml_tf.core import plain_texts
from maml_tf.core import terminal
from maml_tf.run import config as run_config
from maml_tf.run import config_registry
from maml_tf.run import settings as run_settings

_FLAGS = flags.FLAGS
_ROOMS = (collection, environments, evaluation, learning, run)
# Where arguments are described that the function itself does not describe.
_DESCRIBED_BY = {'maml_tf.experiment.train_eval': run_settings.Settings}


def main(argv):
  """Lists the settings, and returns the exit code: 0, or 2 for bad input."""
  del argv  # Its flags are parsed.
  _register_all()
  try:
    run_config.parse(_FLAGS.gin_file, _FLAGS.gin_bindings)
  except errors.UsageError as error:
    return terminal.print_error('settings', error, debug=_FLAGS.debug)
  terminal.show('\n'.join(_lines()))
  return 0


def _register_all() -> None:
  """Imports what registers settings."""
  for room in _ROOMS:
    prefix = f'{room.__name__}.'
    for module in pkgutil.walk_packages(room.__path__, prefix):
      # Some need packages that are extras.
      with contextlib.suppress(ImportError):
        importlib.import_module(module.name)


def _lines() -> Iterator[str]:
  """Yields the text, which is itself a gin file."""
  configurables = config_registry.configurables()
  scoped = _scoped()
  for name in sorted(configurables, key=_position):
    function = configurables[name]
    owner = name.rpartition('.')[2]
    described = [function, _DESCRIBED_BY.get(name)]
    yield f'# {owner} ({name.rpartition(".")[0]}): {_first_line(function)}'
    parameters = config_registry.parameters(function)
    bound = config_registry.bound().get(('', name), {})
    for setting in config_registry.settings_of(name):
      default = _text(parameters[setting].default)
      described_as = _description(described, setting)
      if setting in bound:
        value = _text(bound[setting])
        comment = f'Default: {default}. {described_as}'
      else:
        value, comment = default, described_as
      yield f'{owner}.{setting} = {value}  # {comment}'.rstrip(' #')
    yield from scoped.get(name, ())
    yield ''
  macros = scoped.get(config_registry.MACRO)
  if macros:
    yield from ('# Macros', *macros)


def _scoped() -> dict[str, list[str]]:
  """Returns the lines of settings in scopes, and macros, by full name."""
  lines = {}
  for (scope, name), values in config_registry.bound().items():
    if scope:
      lines.setdefault(name, []).extend(
        f'{scope} = {_text(value)}'
        if name == config_registry.MACRO
        else f'{scope}/{name.rpartition(".")[2]}.{setting} = {_text(value)}'
        for setting, value in values.items()
      )
  return lines


def _position(name: str) -> tuple[bool, bool, str]:
  """Returns the key by which names are sorted: the run, ours, others."""
  return (
    not name.endswith('.train_eval'),
    not name.startswith('maml_tf.'),
    name.rpartition('.')[2].lower(),
  )


def _text(value: Any) -> str:
  """Returns a value as a gin file has it, if it can be there."""
  if value is inspect.Parameter.empty or value is gin.REQUIRED:
    return '%gin.REQUIRED'
  if inspect.isroutine(value) or inspect.isclass(value):
    return f'@{value.__name__}'
  if isinstance(value, Mapping):
    value = dict(value)
  return ' '.join(plain_texts.of(value).split())


def _first_line(function: Callable) -> str:
  """Returns the first line of a docstring."""
  return (inspect.getdoc(function) or '').partition('\n')[0]


def _description(described: list[Any], setting: str) -> str:
  """Returns the first sentence that a docstring has on an argument."""
  for owner in described:
    for documented in (owner, getattr(owner, '__init__', None)):
      text = inspect.getdoc(documented) or ''
      match = re.search(
        rf'(?m)^( +){setting}(?: \(.*?\))?: (.*(?:\n\1 +.*)*)', text
      )
      if match:
        sentences = ' '.join(match[2].split())
        return re.match(r'.*?\.(?= |$)|.*', sentences)[0]
  return ''
