"""Images of a point's path to its goal."""

import numpy as np
from PIL import Image
from PIL import ImageDraw

from maml_tf.environments.rendering import renderer

# Images are drawn this many times larger and then reduced: smooth edges.
_ENLARGEMENT = 3
_BACKGROUND = (255, 255, 255)
_AXES = (225, 225, 225)
_PATH = (31, 119, 180)
_GOAL = (214, 39, 40)


class PointRenderer(renderer.Renderer):
  """Renders the axes, the path from the origin, the point and its goal."""

  def __init__(
    self, goal: np.ndarray, positions: np.ndarray, width: int, height: int
  ):
    """Chooses a scale at which everything fits.

    Args:
      goal: A float array [2].
      positions: A float array [K, 2] of all positions to be rendered.
      width: The width of the images in pixels.
      height: The height of the images in pixels.
    """
    self._goal = np.asarray(goal)
    self._size = np.array([width, height])
    reach = np.abs(np.concatenate([positions, [goal]])).max(initial=0.1)
    # The origin is in the middle. Both axes have the same scale.
    self._pixels_per_unit = _ENLARGEMENT * self._size.min() / (2.2 * reach)

  def __call__(self, states: np.ndarray) -> np.ndarray:
    width, height = _ENLARGEMENT * self._size
    image = Image.new('RGB', (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(image)
    x, y = self._pixels(np.zeros(2))
    line = max(1, round(0.004 * min(width, height)))
    draw.line([(0, y), (width, y)], _AXES, line)
    draw.line([(x, 0), (x, height)], _AXES, line)
    self._draw_disc(draw, self._goal, _GOAL, 5 * line)
    path = [tuple(self._pixels(position)) for position in states]
    draw.line(path, _PATH, 2 * line, joint='curve')
    self._draw_disc(draw, states[-1], _PATH, 4 * line)
    return np.asarray(
      image.resize(tuple(self._size), Image.Resampling.BOX), np.uint8
    )

  def _pixels(self, position):
    offset = self._pixels_per_unit * np.array([position[0], -position[1]])
    return _ENLARGEMENT * self._size / 2 + offset

  def _draw_disc(self, draw, position, colour, radius):
    x, y = self._pixels(position)
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], colour)


# The class's name in version 0.1.0.
PointPainter = PointRenderer
