"""Pictures of a point's path to its goal."""

import numpy as np
from PIL import Image
from PIL import ImageDraw

from maml_tf.environments.painting import painter

# Drawn larger and then reduced, which smooths the edges.
_ENLARGEMENT = 3
_BACKGROUND = (255, 255, 255)
_AXES = (225, 225, 225)
_PATH = (31, 119, 180)
_GOAL = (214, 39, 40)


class PointPainter(painter.Painter):
  """Draws the way from the origin, where the point is, and the goal."""

  def __init__(
    self, goal: np.ndarray, positions: np.ndarray, width: int, height: int
  ):
    """Chooses the scale.

    Args:
      goal: A float array [2].
      positions: All that the pictures hold, [K, 2].
      width: Pixels from left to right.
      height: Pixels from above to below.
    """
    self._goal = np.asarray(goal)
    self._size = np.array([width, height])
    reach = np.abs(np.concatenate([positions, [goal]])).max(initial=0.1)
    # The origin is in the middle, and both axes have one scale.
    self._pixels_per_unit = _ENLARGEMENT * self._size.min() / (2.2 * reach)

  def __call__(self, states: np.ndarray) -> np.ndarray:
    width, height = _ENLARGEMENT * self._size
    image = Image.new('RGB', (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(image)
    x, y = self._pixels(np.zeros(2))
    line = max(1, round(0.004 * min(width, height)))
    draw.line([(0, y), (width, y)], _AXES, line)
    draw.line([(x, 0), (x, height)], _AXES, line)
    self._disc(draw, self._goal, _GOAL, 5 * line)
    path = [tuple(self._pixels(position)) for position in states]
    draw.line(path, _PATH, 2 * line, joint='curve')
    self._disc(draw, states[-1], _PATH, 4 * line)
    return np.asarray(
      image.resize(tuple(self._size), Image.Resampling.BOX), np.uint8
    )

  def _pixels(self, position):
    offset = self._pixels_per_unit * np.array([position[0], -position[1]])
    return _ENLARGEMENT * self._size / 2 + offset

  def _disc(self, draw, position, colour, radius):
    x, y = self._pixels(position)
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], colour)
