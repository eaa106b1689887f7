"""Files that are replaced in one piece: written beside, then renamed."""

from collections.abc import Iterator
import contextlib
import os


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
