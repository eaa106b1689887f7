"""Says in one line, with file and line, why gin does not take a config."""

from collections.abc import Sequence
import difflib
import re
import tokenize

from maml_tf.core import errors
from maml_tf.run import config_registry
from maml_tf.run import config_texts

_PLACE = re.compile(r'\n\s*In (?:file "(.+?)"|bindings string),? line (\d+)')
_VALUES = 'give a number, a text in quotes, a list, @a_function or %a_macro'
# What gin's parser says, and what that means.
_MEANINGS = (
  (r'Expected newline\.', f'more follows than a value: {_VALUES}'),
  (r'Unable to parse value\.', f'it has no value that gin reads: {_VALUES}'),
  # From Python 3.12 on, text without its second quote is not one token.
  (r'unterminated string', f'it has no value that gin reads: {_VALUES}'),
  # Python 3.12 appends the place in its own code.
  (r'(.*) \(<unknown>, line \d+\).*', r'\1'),
  (r"malformed node.*token '(.*?)'", rf"'\1' is not a value: {_VALUES}"),
  (
    r"Couldn't parse statement.*",
    "it is no setting: write one such as 'train_eval.seed = 1'",
  ),
  (
    r'Unable to open file: (.*)\. Searched config paths.*',
    r'\1 does not exist: include a path, or a config of the package',
  ),
)
# Arguments of `train_eval` that are flags.
_FLAGS = ('root_dir', 'strategy', 'allow_config_change')


def describe(
  error: Exception, texts: Sequence[config_texts.Text]
) -> errors.UsageError:
  """Returns the error to raise for one that gin raised.

  Args:
    error: What parsing raised.
    texts: All texts that are parsed, the bindings at the end.
  """
  unset = re.match(r"No bindings specified for '(.+)/gin\.macro'", str(error))
  if unset:
    return _unset(unset[1], texts)
  reason, path, line = _split(error)
  reason = _explain(' '.join(reason.split()))
  bindings = [text for text in texts if not text.path]
  broken = [(text, config_texts.broken_line(text)) for text in texts]
  broken = [item for item in broken if item[1]]
  if broken and not path:
    # Python's tokens know no file.
    text, line = broken[0]
  elif path:
    named = [text for text in texts if text.path and _ends(text.path, path)]
    text = named[0] if named else config_texts.Text(path, '')
  elif line and bindings:
    # Gin parses them as the lines of one text.
    text = bindings[-1]
    for text in bindings:
      length = text.content.count('\n') + 1
      if line <= length:
        break
      line -= length
  else:
    return errors.UsageError(reason)
  return config_texts.fault(text, line, reason)


def _unset(macro: str, texts: Sequence[config_texts.Text]) -> errors.UsageError:
  """Returns the error about a macro that is read but not set."""
  reason = f"%{macro} has no value: set it, as by '{macro} = 1'"
  for text in texts:
    for line, content in enumerate(text.content.splitlines(), 1):
      if re.search(rf'%{re.escape(macro)}\b', content):
        return errors.UsageError(f'{text.where(line)}: {reason}')
  return errors.UsageError(reason)


def _split(error: Exception) -> tuple[str, str, int]:
  """Returns what gin says, the file ('' without one), the line (or 0)."""
  if isinstance(error, tokenize.TokenError):
    message, (line, _) = error.args
    return message, '', line
  if isinstance(error, SyntaxError) and error.lineno is not None:
    path = error.filename or ''
    return error.msg, '' if path.startswith('<') else path, error.lineno
  message = str(error)
  place = _PLACE.search(message)
  if place is None:
    return message, '', 0
  return message[: place.start()], place[1] or '', int(place[2])


def _ends(path: str, name: str) -> bool:
  """Returns whether a file is the one that gin calls by a name."""
  return path == name or path.endswith(f'/{name}')


def _explain(reason: str) -> str:
  """Returns what gin says, in the user's words where they are others."""
  for pattern, meaning in _MEANINGS:
    match = re.match(pattern, reason)
    if match:
      return match.expand(meaning)
  denied = re.match(r"Configurable '(.+)' has denylisted kwarg '(\w+)'", reason)
  if denied:
    owner, name = denied.groups()
    if owner.endswith('train_eval') and name in _FLAGS:
      return f'{name} is not a setting: give --{name}'
    return f'{owner} gets its {name} from the run: it is not a setting'
  unknown = re.match(
    r"Configurable '(.+)' doesn't have a parameter named '(\w+)'", reason
  )
  if unknown:
    names = config_registry.settings_of(unknown[1])
    return reason.rstrip('.') + _suggest(unknown[2], names)
  unknown = re.match(
    r"No configurable matching (?:reference )?'@?(.+?)\W*'", reason
  )
  if unknown:
    module, _, leaf = unknown[1].rpartition('/')[2].rpartition('.')
    suggestion = _suggest(leaf, config_registry.names()) or _list(module)
    return reason.rstrip('.') + suggestion
  return reason


def _list(module: str) -> str:
  """Returns the end of a line: what a module of Keras has."""
  if not module.startswith('tf.keras.'):
    return ''
  names = [
    name.rpartition('.')[2]
    for name in config_registry.configurables()
    if name.rpartition('.')[0] == module
  ]
  return f': give {", ".join(names)} or a function of yours' if names else ''


def _suggest(name: str, names: Sequence[str]) -> str:
  """Returns the end of a line: the names that are nearest."""
  close = difflib.get_close_matches(name, names, 3)
  return f': did you mean {" or ".join(close)}?' if close else ''
