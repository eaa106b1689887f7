"""Pictures and films of a run, as they stand inside a page."""

import base64
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import os
from typing import NamedTuple

from maml_tf.core import files
from maml_tf.core import paths

_TYPES = {'.png': 'image/png', '.gif': 'image/gif', '.mp4': 'video/mp4'}
# Of all files together: servers refuse larger mails. Base64 adds a third.
MOST_BYTES = 12_000_000


class Film(NamedTuple):
  """A picture or film.

  Attributes:
    name: The name of its file.
    mime_type: Its type, such as 'image/png'.
    size: Its bytes.
    data_uri: Its content; '' if it was left out.
  """

  name: str
  mime_type: str
  size: int
  data_uri: str


class Films(NamedTuple):
  """Pictures and films of runs.

  Attributes:
    by_folder: They by the folder that they are in.
    faults: A line for each that cannot be read.
  """

  by_folder: Mapping[str, Sequence[Film]]
  faults: Sequence[str]


def read(folders: Sequence[str]) -> Films:
  """Reads the pictures and films of runs.

  The smallest come first if not all of them fit in a mail; the others have no
  content.

  Args:
    folders: The runs' folders. One that has several runs is read once.
  """
  faults, found = [], []
  folders = list(dict.fromkeys(folders))
  for folder in folders:
    try:
      found += [(folder, name) for name in sorted(os.listdir(folder))]
    except OSError as error:
      faults.append(_fault(folder, error))
  films, room = {}, MOST_BYTES
  sizes = {path: _size(path) for path in (os.path.join(*f) for f in found)}
  for path in sorted(filter(sizes.get, sizes), key=sizes.get):
    room -= sizes[path]
    try:
      data_uri = _data_uri(path) if room >= 0 else ''
    except OSError as error:
      faults.append(_fault(path, error))
    else:
      name = paths.printable(os.path.basename(path))
      films[path] = Film(name, _type(path), sizes[path], data_uri)
  by_folder = {folder: [] for folder in folders}
  for folder, name in found:
    if (film := films.get(os.path.join(folder, name))) is not None:
      by_folder[folder].append(film)
  return Films(by_folder, faults)


def _size(path: str) -> int:
  """Returns the bytes of a picture or film; 0 if it is none, or not whole."""
  is_film = _type(path) and os.path.isfile(path)
  if not is_film or files.is_scratch_file(path):
    return 0
  with contextlib.suppress(FileNotFoundError):
    return os.path.getsize(path)
  return 0


def _data_uri(path: str) -> str:
  with open(path, 'rb') as file:
    text = base64.b64encode(file.read()).decode('ascii')
  return f'data:{_type(path)};base64,{text}'


def _type(path: str) -> str | None:
  return _TYPES.get(os.path.splitext(path)[1].lower())


def _fault(path: str, error: OSError) -> str:
  path = paths.printable(path)
  return f'{path} cannot be read ({error.strerror}): it is not on the page'
