"""Pictures and films of a run, as they stand inside a page."""

import base64
from collections.abc import Sequence
import os
from typing import NamedTuple

_TYPES = {'.png': 'image/png', '.gif': 'image/gif', '.mp4': 'video/mp4'}
# Of all files together: servers refuse larger mails. Base64 adds a third.
MOST_BYTES = 12_000_000


class Film(NamedTuple):
  """A picture or film.

  Attributes:
    path: The file.
    mime_type: Its type, such as 'image/png'.
    size: Its bytes.
    data_uri: Its content; '' if it was left out.
  """

  path: str
  mime_type: str
  size: int
  data_uri: str


def read(folders: Sequence[str]) -> dict[str, list[Film]]:
  """Reads the pictures and films of runs, by folder.

  The smallest come first if not all of them fit in a mail; the others have no
  content.
  """
  paths = {
    os.path.join(folder, name): folder
    for folder in folders
    for name in sorted(os.listdir(folder))
    if os.path.splitext(name)[1].lower() in _TYPES
  }
  contents, room = {}, MOST_BYTES
  sizes = {path: os.path.getsize(path) for path in paths}
  for path in sorted(paths, key=lambda path: sizes[path]):
    room -= sizes[path]
    contents[path] = _data_uri(path) if room >= 0 else ''
  films = {folder: [] for folder in folders}
  for path, folder in paths.items():
    film = Film(path, _type(path), sizes[path], contents[path])
    films[folder].append(film)
  return films


def _data_uri(path: str) -> str:
  with open(path, 'rb') as file:
    text = base64.b64encode(file.read()).decode('ascii')
  return f'data:{_type(path)};base64,{text}'


def _type(path: str) -> str:
  return _TYPES[os.path.splitext(path)[1].lower()]
