"""Images of a point's path to its goal."""

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from maml_tf.environments.rendering import renderer

# Images are drawn this many times larger and then reduced: smooth edges.
_ENLARGEMENT = 3
_BACKGROUND = (255, 255, 255)
_AXES = (225, 225, 225)
_TEXT = (90, 90, 90)
_PATH = (31, 119, 180)
_GOAL = (214, 39, 40)
# Smaller images have no room for text, in pixels.
_SMALLEST_WITH_TEXT = 120
_FONT_PIXELS = 11


class PointRenderer(renderer.Renderer):
  """Renders axes with numbers, the path from the origin, point and goal.

  A legend says which disc is which. Images of less than 120 pixels have neither
  numbers nor a legend.
  """

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
    self._tick = _round_number(reach / 2)
    self._has_text = self._size.min() >= _SMALLEST_WITH_TEXT

  def __call__(self, states: np.ndarray) -> np.ndarray:
    width, height = _ENLARGEMENT * self._size
    image = Image.new('RGB', (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(image)
    x, y = self._pixels(np.zeros(2))
    line = max(1, round(0.004 * min(width, height)))
    draw.line([(0, y), (width, y)], _AXES, line)
    draw.line([(x, 0), (x, height)], _AXES, line)
    if self._has_text:
      font = ImageFont.load_default(_ENLARGEMENT * _FONT_PIXELS)
      self._draw_ticks(draw, font, 6 * line)
      self._draw_legend(draw, font, 4 * line)
    self._draw_disc(draw, self._goal, _GOAL, 5 * line)
    path = [tuple(self._pixels(position)) for position in states]
    draw.line(path, _PATH, 2 * line, joint='curve')
    self._draw_disc(draw, states[-1], _PATH, 4 * line)
    return np.asarray(
      image.resize(tuple(self._size), Image.Resampling.BOX), np.uint8
    )

  def _draw_ticks(self, draw, font, length):
    """Draws a mark and a number at every multiple of `_tick` on both axes."""
    for axis in (0, 1):
      half = _ENLARGEMENT * self._size[axis] / 2
      # A number at the edge would be cut off.
      last = int((half / self._pixels_per_unit - self._tick / 4) / self._tick)
      for multiple in range(-last, last + 1):
        if not multiple:
          continue
        place = np.zeros(2)
        place[axis] = multiple * self._tick
        x, y = self._pixels(place)
        ends = [(x, y - length / 2), (x, y + length / 2)]
        at, anchor = (x, y + length), 'mt'
        if axis:
          ends = [(x - length / 2, y), (x + length / 2, y)]
          at, anchor = (x - length, y), 'rm'
        draw.line(ends, _TEXT, max(1, length // 6))
        draw.text(at, f'{place[axis]:g}', _TEXT, font, anchor=anchor)

  def _draw_legend(self, draw, font, radius):
    """Says in the upper left corner which disc is which."""
    step = 1.4 * _ENLARGEMENT * _FONT_PIXELS
    x = 2 * radius
    for row, (name, colour) in enumerate((('point', _PATH), ('goal', _GOAL))):
      y = (row + 0.8) * step
      draw.ellipse([x - radius, y - radius, x + radius, y + radius], colour)
      draw.text((x + 2 * radius, y), name, _TEXT, font, anchor='lm')

  def _pixels(self, position):
    offset = self._pixels_per_unit * np.array([position[0], -position[1]])
    return _ENLARGEMENT * self._size / 2 + offset

  def _draw_disc(self, draw, position, colour, radius):
    x, y = self._pixels(position)
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], colour)


def _round_number(value):
  """Returns the largest 1, 2 or 5 times a power of ten up to a value."""
  power = 10.0 ** np.floor(np.log10(value))
  return max(m * power for m in (1, 2, 5) if m * power <= value * (1 + 1e-9))


# The class's name in version 0.1.0.
PointPainter = PointRenderer
