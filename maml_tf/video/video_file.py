"""Videos as files: gif, and mp4 where imageio-ffmpeg is installed."""

from collections.abc import Iterable
import importlib.util
import os

import imageio.v2 as imageio
import numpy as np
from PIL import Image

from maml_tf.core import checks
from maml_tf.core import files
from maml_tf.core import paths

# A gif's frame times are hundredths of a second; viewers play anything shorter
# than two of them slowly, and it has room for 65535. An mp4's rates have two
# decimals.
_MAX_GIF_FPS = 50
_MIN_FPS = {'.gif': 0.002, '.mp4': 0.01}
_MAX_MP4_FPS = 1000


def check(path: str, fps: float, name: str = '--out') -> None:
  """Checks that a video can be written, before its pictures are drawn.

  Args:
    path: Ends in .gif or .mp4.
    fps: Frames per second.
    name: What the path is, such as '--out'.

  Raises:
    ValueError: It cannot; the message says how to mend that.
  """
  if os.path.isdir(path):
    raise ValueError(
      f'{path} is a folder: give the name of a file that ends in .gif or .mp4'
    )
  kind = os.path.splitext(path)[1].lower()
  if kind not in ('.gif', '.mp4'):
    raise ValueError(
      f'{path} is not a video: give a name that ends in .gif or .mp4'
    )
  checks.number('fps', fps, minimum=_MIN_FPS[kind], maximum=_MAX_MP4_FPS)
  if kind == '.gif' and fps > _MAX_GIF_FPS:
    raise ValueError(
      f'fps is {fps}: give at most {_MAX_GIF_FPS}, the fastest that a gif'
      ' can play, or a name that ends in .mp4'
    )
  if kind == '.mp4' and importlib.util.find_spec('imageio_ffmpeg') is None:
    raise ValueError(
      f'{path} needs imageio-ffmpeg: pip install imageio-ffmpeg, or give a name'
      ' that ends in .gif'
    )
  paths.check_output_file(name, path)


def write(path: str, pictures: Iterable[np.ndarray], fps: float) -> None:
  """Writes a video: a gif plays in a loop, an mp4 once.

  Args:
    path: See `check`. A complete new file replaces an existing one.
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
  writer = imageio.get_writer(path, fps=fps, macro_block_size=2)
  with writer:
    for picture in pictures:
      writer.append_data(picture)
