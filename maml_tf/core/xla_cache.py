"""Keeps what XLA has compiled, so that a second start finds it.

TensorFlow can save XLA's programs in a folder and load them from there. It
trusts what it finds: a damaged file, another TensorFlow's, or one for another
processor's instructions ends the run. If it cannot write, that ends the run,
too. So each process gets a folder of its own, with programs that were checked,
and at its end what is new goes into a store:

  ~/.cache/maml_tf/xla/<key>/<name>.pb.<checksum>

The key stands for all that a program depends on besides itself: TensorFlow, the
processor, the GPUs, XLA's flags. TensorFlow compares the program itself.

TensorFlow 2.21 does so on CPUs: a program is loaded in a fifth of the time that
compiling takes, and gives the same bits. TensorFlow 2.15 cannot save programs
for CPUs, and its attempt ends the run. On a GPU, only one run was tried, which
found its programs: those of GPUs are kept only if MAML_TF_XLA_CACHE is 1.
"""

from collections.abc import Iterator
import contextlib
import glob
import hashlib
import os
import pathlib
import platform
import shutil

from maml_tf.core import scratch_folders
from maml_tf.core import stack as stack_lib

# Whether to keep programs: 0 for none, 1 also for those of GPUs.
VARIABLE = 'MAML_TF_XLA_CACHE'
_FLAGS = 'TF_XLA_FLAGS'
_FLAG = '--tf_xla_persistent_cache_'
_TESTED = ('2.21',)
_PREFIX = '.run-'
# What all stores may hold, and what the disk must have left, in bytes.
LARGEST_STORE = 2**30
_LEAST_FREE = 2**30


@contextlib.contextmanager
def enabled() -> Iterator[None]:
  """Keeps the programs of the block, in which TensorFlow is imported.

  Nothing happens where programs cannot be kept.
  """
  with contextlib.ExitStack() as stack:
    # No fault of the cache ends a run; without TensorFlow, its import does.
    with contextlib.suppress(OSError, stack_lib.StackError):
      tensorflow = stack_lib.tensorflow_version()
      store = folder(tensorflow)
      if store is not None and _is_usable(tensorflow):
        stack.enter_context(_kept_in(store))
    yield


def folder(tensorflow: str) -> str | None:
  """Returns this machine's store; None if the user has no home folder."""
  root = os.environ.get('XDG_CACHE_HOME')
  if not root or not os.path.isabs(root):
    root = os.path.expanduser('~/.cache')
  if not os.path.isabs(root):
    return None
  return os.path.join(root, 'maml_tf', 'xla', _key(tensorflow))


def _is_usable(tensorflow: str) -> bool:
  return (
    '.'.join(tensorflow.split('.')[:2]) in _TESTED
    and os.environ.get(VARIABLE) != '0'
    and _FLAG not in os.environ.get(_FLAGS, '')
  )


def _key(tensorflow: str) -> str:
  """Returns a name for what programs depend on besides themselves."""
  facts = [tensorflow, platform.machine(), os.environ.get('XLA_FLAGS', '')]
  facts += [os.environ.get(_FLAGS, '')]
  # The processor's instructions. The lines of all processors are alike.
  facts += sorted(
    {
      line
      for line in _read('/proc/cpuinfo').splitlines()
      if line.startswith(('flags', 'Features', 'model name', 'CPU part'))
    }
  )
  for path in sorted(
    ['/proc/driver/nvidia/version', *glob.glob('/proc/driver/nvidia/gpus/*/*')]
  ):
    facts.append(_read(path))
  digest = hashlib.sha256('\n'.join(facts).encode()).hexdigest()
  return f'tensorflow-{tensorflow}-{digest[:16]}'


def _read(path: str) -> str:
  try:
    return pathlib.Path(path).read_text(encoding='utf-8', errors='replace')
  except OSError:
    return ''


@contextlib.contextmanager
def _kept_in(store: str) -> Iterator[None]:
  """Gives TensorFlow a folder of the store's programs, and takes new ones.

  Raises:
    OSError: The store cannot be written.
  """
  os.makedirs(store, mode=0o700, exist_ok=True)
  if shutil.disk_usage(store).free < _LEAST_FREE:
    raise OSError('too little space')
  for path in scratch_folders.abandoned(store, _PREFIX):
    scratch_folders.remove(path)
  flags = os.environ.get(_FLAGS)
  with scratch_folders.create(store, _PREFIX) as scratch:
    own = os.path.join(scratch, 'new')
    os.mkdir(own, mode=0o700)
    known = _hand_out(store, own)
    ours = f'{_FLAG}directory={own}'
    if os.environ.get(VARIABLE) != '1':
      ours += f' {_FLAG}device_types=CPU'
    os.environ[_FLAGS] = f'{flags} {ours}' if flags else ours
    try:
      yield
    finally:
      if flags is None:
        del os.environ[_FLAGS]
      else:
        os.environ[_FLAGS] = flags
      with contextlib.suppress(OSError):
        _take_in(store, own, known)
        _shrink(store)


def _hand_out(store: str, own: str) -> set[str]:
  """Copies the store's programs, except damaged ones; returns their names."""
  known = set()
  for path in pathlib.Path(store).glob('*.pb.*'):
    content = path.read_bytes()
    name, _, checksum = path.name.rpartition('.')
    if hashlib.sha256(content).hexdigest() != checksum:
      path.unlink(missing_ok=True)
      continue
    (pathlib.Path(own) / name).write_bytes(content)
    known.add(name)
    os.utime(path)  # `_shrink` removes what was used least recently.
  return known


def _take_in(store: str, own: str, known: set[str]) -> None:
  """Puts new programs into the store, under the names of their contents."""
  for path in pathlib.Path(own).glob('*.pb'):
    if path.name not in known:
      checksum = hashlib.sha256(path.read_bytes()).hexdigest()
      os.replace(path, os.path.join(store, f'{path.name}.{checksum}'))


def _shrink(store: str) -> None:
  """Removes the programs used least recently until all stores are small."""
  size = 0
  # This includes the stores of other keys, which may be out of use.
  paths = pathlib.Path(store).parent.glob('*/*.pb.*')
  for path in sorted(paths, key=lambda p: p.stat().st_mtime, reverse=True):
    size += path.stat().st_size
    if size > LARGEST_STORE:
      path.unlink(missing_ok=True)
