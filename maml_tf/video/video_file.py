"""Videos as files: gif, and mp4 where imageio-ffmpeg is installed."""

from collections.abc import Iterable
import importlib.util
import os

import imageio.v2 as imageio
import numpy as np
from PIL import Image

from maml_tf.core import checks
from maml_tf.core import files

# A gif counts hundredths of a second, and viewers slow down below two.
_MAX_GIF_FPS = 50


def check(path: str, fps: float) -> None:
  """Sees whether a video can be written, before the work that it takes.

  Args:
    path: Ends in .gif or .mp4.
    fps: Frames per second.

  Raises:
    ValueError: It cannot; the message says what to do.
  """
  checks.number('fps', fps, above=0)
  kind = os.path.splitext(path)[1].lower()
  if kind not in ('.gif', '.mp4'):
    raise ValueError(
      f'{path} is no video: give a name that ends in .gif or .mp4'
    )
  if kind == '.gif' and fps > _MAX_GIF_FPS:
    raise ValueError(
      f'fps is {fps}: give at most {_MAX_GIF_FPS}, what a gif can show, or a'
      ' name that ends in .mp4'
    )
  if kind == '.mp4' and importlib.util.find_spec('imageio_ffmpeg') is None:
    raise ValueError(
      f'{path} needs imageio-ffmpeg: pip install imageio-ffmpeg, or give a name'
      ' that ends in .gif'
    )
  folder = os.path.dirname(path) or '.'
  if not os.path.isdir(folder):
    raise ValueError(f'{folder} is no folder: make it, or give another name')


def write(path: str, pictures: Iterable[np.ndarray], fps: float) -> None:
  """Writes a video that plays for ever (gif) or once (mp4).

  Args:
    path: See `check`. A file there is replaced, once all is written.
    pictures: uint8 arrays [H, W, 3] with even H and W.
    fps: Frames per second.
  """
  is_gif = path.lower().endswith('.gif')
  writer = _write_gif if is_gif else _write_mp4
  with files.replace_file(path) as scratch:
    writer(scratch, iter(pictures), fps)


def _write_gif(path, pictures, fps):
  images = (Image.fromarray(picture) for picture in pictures)
  next(images).save(
    path, save_all=True, append_images=images, duration=1000 / fps, loop=0
  )


def _write_mp4(path, pictures, fps):
  with imageio.get_writer(path, fps=fps, macro_block_size=2) as writer:
    for picture in pictures:
      writer.append_data(picture)
