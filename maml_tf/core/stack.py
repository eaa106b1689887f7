"""TensorFlow and its Keras, loaded as TF-Agents and MuJoCo need them.

TF-Agents needs Keras 2. From TensorFlow 2.16 on, that is the package tf-keras,
and `tf.keras` is that package if TF_USE_LEGACY_KERAS is 1 when a program first
uses `tf.keras`. TensorFlow 2.15 has Keras 2 itself, and fails with the variable
unless tf-keras is installed, too.

TensorFlow also has a copy of LLVM, and so does Mesa, which draws MuJoCo's
pictures where there is no GPU. Newer TensorFlow shows its symbols to all
libraries that are loaded later. Mesa then calls the functions of the other LLVM
and crashes.
"""

from collections.abc import Iterator
import contextlib
import importlib
import importlib.util
import os
import sys
from typing import Any

from maml_tf.core import quiet_imports

_VARIABLE = 'TF_USE_LEGACY_KERAS'
# As TensorFlow reads it.
_TRUE = ('1', 'True', 'true')
# It makes all symbols of TensorFlow global. TensorFlow needs that only where it
# is one static library, which its wheels are not; a comment in its
# pywrap_tensorflow.py expects that this import fails otherwise.
_GLOBAL_SYMBOLS = 'tensorflow.python.pywrap_dlopen_global_flags'


class StackError(ImportError):
  """A library is missing, or is not as TF-Agents needs it.

  The message is one line: fault and remedy.
  """


def load() -> None:
  """Imports TensorFlow silently, with legacy Keras.

  Whoever imports a module that imports TensorFlow calls this first.

  Raises:
    StackError: A library is missing, TF_USE_LEGACY_KERAS selects another Keras,
      or the program has used `tf.keras` as Keras 3.
  """
  if not _is_installed('tf_agents'):
    # From Python 3.12 on, what its metadata ask for cannot be installed.
    no_deps = '--no-deps ' * (sys.version_info >= (3, 12))
    raise StackError(
      f'tf-agents is not installed: run pip install {no_deps}tf-agents==0.19.0'
    )
  version = tensorflow_version()
  is_new = tuple(map(int, version.split('.')[:2])) >= (2, 16)
  _select_keras(version, is_new)
  if is_new:
    with _local_symbols():
      quiet_imports.import_tensorflow()
  else:
    importlib.import_module('tensorflow')
  _check_keras()


def exports_symbols() -> bool:
  """Whether libraries that are loaded now find TensorFlow's symbols.

  They do if the program imported a newer TensorFlow before this package.
  """
  return _GLOBAL_SYMBOLS in sys.modules


def tensorflow_version() -> str:
  """Returns TensorFlow's version without importing it."""
  if 'tensorflow' in sys.modules:
    # Another thread may be importing it: this waits.
    return importlib.import_module('tensorflow').__version__
  # Its import takes a third of the time of --help, which does not come here.
  metadata = importlib.import_module('importlib.metadata')
  try:
    return metadata.version('tensorflow')
  except metadata.PackageNotFoundError:
    # Such as tensorflow-cpu.
    names = metadata.packages_distributions().get('tensorflow')
    if not names:
      raise StackError(
        'TensorFlow is not installed: run pip install tensorflow'
      ) from None
    return metadata.version(names[0])


@contextlib.contextmanager
def _local_symbols() -> Iterator[None]:
  """Lets an import of TensorFlow keep its symbols to itself."""
  if 'tensorflow' in sys.modules:
    yield
    return
  modules: dict[str, Any] = sys.modules
  modules[_GLOBAL_SYMBOLS] = None  # Its import raises an ImportError.
  try:
    yield
  finally:
    del modules[_GLOBAL_SYMBOLS]


def _select_keras(version: str, is_new: bool) -> None:
  """Makes `tf.keras` legacy Keras, unless the program has used it."""
  value = os.environ.get(_VARIABLE)
  if not is_new:
    if value in _TRUE and not _is_installed('tf_keras'):
      raise StackError(
        f'{_VARIABLE} is {value}, but TensorFlow {version} has legacy Keras '
        'itself: unset it'
      )
    return
  if value is not None and value not in _TRUE:
    raise StackError(
      f'{_VARIABLE} is {value!r}, but TF-Agents needs legacy Keras: unset it, '
      'or set it to 1'
    )
  if not _is_installed('tf_keras'):
    release = '.'.join(version.split('.')[:2])
    raise StackError(
      f'tf-keras is not installed: run pip install tf-keras=={release}.*'
    )
  os.environ[_VARIABLE] = '1'


def _check_keras() -> None:
  """Checks that `tf.keras` is legacy Keras, and that it stays so."""
  keras = sys.modules['tensorflow'].keras
  # As an attribute of TensorFlow, legacy Keras has no version.
  version = getattr(keras, '__version__', None)
  if version is not None:
    raise StackError(
      f'tf.keras is Keras {version} in this process, but TF-Agents needs '
      'legacy Keras: import maml_tf before whatever uses tf.keras, or set '
      f'{_VARIABLE}=1 before Python starts'
    )
  # If the variable was not set when TensorFlow was imported, Python would look
  # for this module in Keras 3. TF-Agents imports it.
  if keras.__name__.startswith('tf_keras'):
    sys.modules.setdefault('tensorflow.keras', sys.modules[keras.__name__])


def _is_installed(module: str) -> bool:
  return importlib.util.find_spec(module) is not None
