"""Finds settings of the user that nothing reads.

Gin takes them silently. What a run reads is known once its parts are built and
traced; what it calls only later counts if a setting that is read refers to it.
"""

from collections.abc import Iterator
import contextlib
import contextvars
import difflib
import os
from typing import Any
from typing import NamedTuple

from gin import config_parser

from maml_tf.core import errors
from maml_tf.core import shipped_configs
from maml_tf.run import config as run_config
from maml_tf.run import config_registry
from maml_tf.run import config_texts

# Our own code enters no other scopes than those of references.
_OURS = ('maml_tf.', 'tf.keras.')

_parsed: contextvars.ContextVar[run_config.Parsed | None] = (
  contextvars.ContextVar('parsed', default=None)
)


class _Setting(NamedTuple):
  """A line that sets something.

  Attributes:
    text: Where it stands.
    line: Its number there.
    scope: Its scopes, such as 'a/b'.
    owner: What it configures, as the line has it; a macro's name.
    name: The parameter; '' for a macro.
  """

  text: config_texts.Text
  line: int
  scope: str
  owner: str
  name: str

  def __str__(self) -> str:
    path = '/'.join(filter(None, [self.scope, self.owner]))
    return f'{path}.{self.name}' if self.name else path


class _Mentions(config_parser.ParserDelegate):
  """Collects what values refer to.

  Attributes:
    references: (scope, name) of each @scope/name.
    macros: The name of each %macro.
  """

  def __init__(self):
    self.references = set()
    self.macros = set()

  def configurable_reference(self, scoped_configurable_name, evaluate):
    scope, _, name = scoped_configurable_name.rpartition('/')
    self.references.add((scope, name))
    if name.rpartition('.')[2] == 'macro':
      self.macros.add(scope)

  def macro(self, macro_name):
    self.macros.add(macro_name)


@contextlib.contextmanager
def watching(parsed: run_config.Parsed) -> Iterator[None]:
  """Lets `check` and `lines` look at what was parsed, in the block."""
  token = _parsed.set(parsed)
  try:
    yield
  finally:
    _parsed.reset(token)


def check() -> None:
  """Checks that macros are read and that scopes exist.

  Raises:
    errors.UsageError: One of them does not.
  """
  settings, mentions = _settings()
  for setting in settings:
    if not setting.name and str(setting) not in mentions.macros:
      raise errors.UsageError(
        f'{_where(setting)} is a macro that nothing reads:'
        f' {_meant(setting.owner)}'
      )
    if _is_lost(setting, mentions):
      raise errors.UsageError(
        f'{_where(setting)}: no setting refers to @{setting.scope}/...:'
        f' {_meant_scope(setting, mentions)}'
      )


def lines() -> list[str]:
  """Returns lines about settings that this run does not read, and on order."""
  settings, _ = _settings()
  reachable = _reachable()
  found = _order_of_files()
  for setting in settings:
    owner = setting.name and config_registry.full_name(setting.owner)
    if not owner or _is_used(setting, owner):
      continue
    is_called = any(
      name == owner and _begins(setting.scope, scope)
      for scope, name in config_registry.used()
    )
    leaf = owner.rpartition('.')[2]
    if is_called:
      found.append(f'{_where(setting)}: nothing reads it: the run sets it')
    elif owner not in reachable:
      reason = f'no setting that is read refers to @{leaf}'
      if leaf == 'Evaluator':
        reason = 'train_eval.evaluation_interval is 0'
      found.append(f'{_where(setting)}: nothing reads it: {reason}')
  return found


def is_bound_by_user(name: str) -> bool:
  """Returns whether the user's own files or command line bind a setting.

  Args:
    name: Its owner, without modules, and its parameter.
  """
  settings, _ = _settings()
  return any(f'{s.owner.rpartition(".")[2]}.{s.name}' == name for s in settings)


def _settings() -> tuple[list[_Setting], _Mentions]:
  """Returns the user's settings, and what all files refer to."""
  mentions, settings = _Mentions(), []
  parsed = _parsed.get() or run_config.Parsed([], [])
  # A binding may go on in the next one, as for gin.
  bindings = '\n'.join(t.content for t in parsed.texts if not t.path)
  files = [text for text in parsed.texts if text.path]
  for text in (*files, config_texts.Text('', bindings)):
    is_own = _is_own(text)
    for statement in config_parser.ConfigParser(text.content, mentions):
      if is_own and isinstance(statement, config_parser.BindingStatement):
        settings.append(_setting(text, statement))
  return settings, mentions


def _setting(text: config_texts.Text, statement: Any) -> _Setting:
  line = statement.location.line_num
  if not text.path:
    content = text.content.splitlines()[line - 1]
    text, line = config_texts.Text('', content), 1
  return _Setting(
    text, line, statement.scope, statement.selector, statement.arg_name
  )


def _is_own(text: config_texts.Text) -> bool:
  """Returns whether a user wrote it: no shipped config, no record of a run."""
  if not text.path:
    return True
  is_record = (
    os.path.basename(text.path) == run_config.CONFIG_FILE
    # Gin begins the settings of each owner so.
    and '# Parameters for ' in text.content
  )
  return not is_record and not shipped_configs.contains(text.path)


def _where(setting: _Setting) -> str:
  where = setting.text.where(setting.line)
  return f'{where} ({setting})' if setting.text.path else where


def _is_lost(setting: _Setting, mentions: _Mentions) -> bool:
  """Returns whether a setting of ours has a scope that nothing enters."""
  owner = setting.name and config_registry.full_name(setting.owner)
  if not owner or not setting.scope or not owner.startswith(_OURS):
    return False
  return not any(_begins(setting.scope, scope) for scope in _scopes(mentions))


def _scopes(mentions: _Mentions) -> set[str]:
  """Returns the scopes that references or calls so far have entered."""
  entered = [*mentions.references, *config_registry.used()]
  return {scope for scope, _ in entered if scope}


def _begins(outer: str, scope: str) -> bool:
  return f'{scope}/'.startswith(f'{outer}/' if outer else '')


def _is_used(setting: _Setting, owner: str) -> bool:
  """Returns whether a call so far has read a setting."""
  return any(
    name == owner and setting.name in values and _begins(setting.scope, scope)
    for (scope, name), values in config_registry.used().items()
  )


def _reachable() -> set[str]:
  """Returns what has been called, and what its settings refer to."""
  reachable = {name for _, name in config_registry.used()}
  bound = config_registry.bound()
  pending = [
    value
    for (_, name), values in bound.items()
    if name in reachable
    for value in values.values()
  ]
  while pending:
    for scope, name in config_registry.referred(pending.pop()):
      if name == config_registry.MACRO:
        pending += bound.get((scope, name), {}).values()
      elif name not in reachable:
        reachable.add(name)
        pending += [
          value
          for (_, owner), values in bound.items()
          if owner == name
          for value in values.values()
        ]
  return reachable


def _meant(macro: str) -> str:
  """Returns what the user may have meant by a macro."""
  owners = sorted(
    {
      (parameter, f'{owner.rpartition(".")[2]}.{parameter}')
      for _, owner in config_registry.used()
      for parameter in config_registry.settings_of(owner)
    }
  )
  close = difflib.get_close_matches(macro, [name for name, _ in owners], 1)
  meant = [path for name, path in owners if close == [name]]
  if meant:
    return f'did you mean {" or ".join(meant[:3])}?'
  return 'a setting has an owner, such as train_eval.num_iterations'


def _meant_scope(setting: _Setting, mentions: _Mentions) -> str:
  """Returns what the user may have meant by a scope."""
  close = difflib.get_close_matches(setting.scope, _scopes(mentions), 1)
  return f'did you mean {setting._replace(scope="".join(close))}?'


def _order_of_files() -> list[str]:
  """Returns lines on experiments that follow others, or an algorithm."""
  parsed = _parsed.get()
  found, before, algorithms = [], [], []
  for path in parsed.files if parsed else ():
    is_shipped = shipped_configs.contains(path)
    name = os.path.basename(path) if is_shipped else path
    if shipped_configs.is_experiment(path):
      if before:
        found.append(
          f'{name} replaces settings of the experiment {before[-1]}; those that'
          ' it does not set stay: give one of them alone'
        )
      found += [
        f'the experiment {name} replaces settings of {other}: give {other}'
        ' after it'
        for other in algorithms
      ]
      before.append(name)
    elif is_shipped:
      algorithms.append(name)
  return found
