"""Images of a pendulum, and of a cart with a pole.

What is heavier is drawn larger: areas are proportional to masses.
"""

import abc

import numpy as np
from PIL import Image
from PIL import ImageDraw

from maml_tf.environments.rendering import renderer

# Images are drawn this many times larger and then reduced: smooth edges.
_ENLARGEMENT = 3
_BACKGROUND = (255, 255, 255)
_TRACK = (160, 160, 160)
_ROD = (110, 110, 110)
_BODY = (31, 119, 180)
_POLE = (214, 39, 40)

# The masses beyond which a body is drawn no larger, or smaller [kg].
_SMALLEST, _LARGEST = 0.02, 8.0


class _Drawing(renderer.Renderer):
  """Draws polygons and discs in metres, with the origin in the middle."""

  def __init__(self, extent: float, width: int, height: int):
    """Chooses the scale.

    Args:
      extent: The least width and height that the image shows, metres.
      width: The width of the images in pixels.
      height: The height of the images in pixels.
    """
    self._size = np.array([width, height])
    self._pixels_per_metre = _ENLARGEMENT * self._size.min() / extent

  def __call__(self, states: np.ndarray) -> np.ndarray:
    image = Image.new('RGB', tuple(_ENLARGEMENT * self._size), _BACKGROUND)
    self._draw(ImageDraw.Draw(image), states[-1])
    return np.asarray(
      image.resize(tuple(self._size), Image.Resampling.BOX), np.uint8
    )

  @abc.abstractmethod
  def _draw(self, draw, state):
    """Draws one state [S]."""

  def _pixels(self, points):
    """Converts points [..., 2] from metres to pixels of the large image."""
    offset = self._pixels_per_metre * np.asarray(points) * [1, -1]
    return _ENLARGEMENT * self._size / 2 + offset

  def _polygon(self, draw, points, colour):
    draw.polygon([tuple(point) for point in self._pixels(points)], colour)

  def _bar(self, draw, start, end, thickness, colour):
    """Draws a bar between two points."""
    start, end = np.asarray(start), np.asarray(end)
    along = (end - start) / np.linalg.norm(end - start)
    across = thickness / 2 * np.array([-along[1], along[0]])
    corners = [start + across, end + across, end - across, start - across]
    self._polygon(draw, corners, colour)

  def _disc(self, draw, centre, radius, colour):
    x, y = self._pixels(centre)
    radius = radius * self._pixels_per_metre
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], colour)


class PendulumRenderer(_Drawing):
  """Renders a rod and a bob, whose area is proportional to the mass."""

  def __init__(self, mass: float, width: int, height: int):
    """Stores the size of the bob.

    Args:
      mass: The mass of the pendulum, kg.
      width: The width of the images in pixels.
      height: The height of the images in pixels.
    """
    super().__init__(3.0, width, height)
    self._radius = 0.2 * np.sqrt(np.clip(mass, _SMALLEST, _LARGEST))

  def _draw(self, draw, state):
    # The angle is 0 above the pivot and increases counterclockwise.
    end = np.array([-np.sin(state[0]), np.cos(state[0])])
    self._bar(draw, (0, 0), end, 0.06, _ROD)
    self._disc(draw, (0, 0), 0.05, _ROD)
    self._disc(draw, end, self._radius, _BODY)


class CartPoleRenderer(_Drawing):
  """Renders a track, a cart and a pole."""

  def __init__(self, masses: np.ndarray, width: int, height: int):
    """Stores the sizes of cart and pole.

    Args:
      masses: A float array [2], the masses of cart and pole, kg.
      width: The width of the images in pixels.
      height: The height of the images in pixels.
    """
    # The track is 4.8 m long.
    super().__init__(5.2, width, height)
    cart, pole = np.clip(masses, _SMALLEST, _LARGEST)
    # The cart is twice as wide as high.
    self._cart_height = 0.35 * np.sqrt(cart)
    self._pole_thickness = pole

  def _draw(self, draw, state):
    x, _, angle, _ = state
    bottom, half = -0.8, self._cart_height
    top = bottom + self._cart_height
    self._bar(draw, (-2.4, bottom), (2.4, bottom), 0.03, _TRACK)
    self._polygon(
      draw,
      [
        (x - half, bottom),
        (x + half, bottom),
        (x + half, top),
        (x - half, top),
      ],
      _BODY,
    )
    # The pole is 1 m long and leans to the right if its angle is positive.
    end = (x + np.sin(angle), top + np.cos(angle))
    self._bar(draw, (x, top), end, self._pole_thickness, _POLE)
