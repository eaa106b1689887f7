"""Images that an environment has drawn itself."""

from typing import Any

import numpy as np
from PIL import Image
from PIL import ImageOps

from maml_tf.core import errors
from maml_tf.environments.rendering import renderer

# Larger pictures are reduced when they are taken, to save memory.
_SIDE = 320


def to_state(picture: Any, name: str) -> np.ndarray:
  """Returns a picture as a state, uint8 [_SIDE * _SIDE * 3].

  Args:
    picture: What the environment's `render` returned.
    name: The name of the environment, for the error.

  Raises:
    errors.UsageError: If it is not a picture.
  """
  array = np.asarray(picture)
  if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
    raise errors.UsageError(
      f"render of {name} returned no picture: with render_mode='rgb_array' it"
      ' returns a uint8 array [height, width, 3]'
    )
  square = ImageOps.pad(
    Image.fromarray(array), (_SIDE, _SIDE), Image.Resampling.BOX
  )
  return np.asarray(square, np.uint8).ravel()


class PictureRenderer(renderer.Renderer):
  """Shows the pictures that are the states."""

  def __init__(self, width: int, height: int):
    """Stores the size of the images in pixels."""
    self._size = (width, height)

  def __call__(self, states: np.ndarray) -> np.ndarray:
    picture = states[-1].astype(np.uint8).reshape(_SIDE, _SIDE, 3)
    image = ImageOps.pad(
      Image.fromarray(picture), self._size, Image.Resampling.BILINEAR
    )
    return np.asarray(image, np.uint8)
