"""Files and folders replaced in one piece: written beside, then renamed."""

from collections.abc import Iterator
import contextlib
import os
import tempfile


@contextlib.contextmanager
def replace_file(path: str) -> Iterator[str]:
  """Replaces a file once all of its new content is written.

    with files.replace_file('config.gin') as scratch:
      with open(scratch, 'w', encoding='utf-8') as file:
        file.write(text)

  If the block raises, the old file stays as it was and the new one is removed.

  Args:
    path: The file to replace or create. Its folder exists.

  Yields:
    The path to write to: in the same folder, with the same extension.

  Raises:
    OSError: The new file cannot be put in place.
  """
  stem, extension = os.path.splitext(path)
  scratch = f'{stem}.part{extension}'
  try:
    yield scratch
    os.replace(scratch, path)
  except BaseException:
    with contextlib.suppress(OSError):
      os.remove(scratch)
    raise


@contextlib.contextmanager
def replace_directory(directory: str) -> Iterator[str]:
  """Replaces a directory once all of its new content is written.

  If the block raises, the old directory stays as it was. A process that is
  killed may leave a folder named `.<name>-*` beside it.

  Args:
    directory: The directory to replace or create. Its parent is created if it
      does not exist.

  Yields:
    The path of the new directory, which the block creates.

  Raises:
    OSError: The new directory cannot be put in place.
  """
  parent, name = os.path.split(os.path.abspath(directory))
  os.makedirs(parent, exist_ok=True)
  with tempfile.TemporaryDirectory(prefix=f'.{name}-', dir=parent) as scratch:
    new, old = os.path.join(scratch, 'new'), os.path.join(scratch, 'old')
    yield new
    if os.path.exists(directory):
      os.rename(directory, old)
    try:
      os.rename(new, directory)
    except OSError:
      if os.path.exists(old):
        os.rename(old, directory)
      raise
