"""The interface that renders the rows of an environment."""

import abc

import numpy as np


class Renderer(abc.ABC):
  """Renders one row at a time; see `TaskEnvironment.create_renderer`."""

  @abc.abstractmethod
  def __call__(self, states: np.ndarray) -> np.ndarray:
    """Renders the current state of a row.

    Args:
      states: A float64 array [t + 1, S]: the row's `render_state` at every step
        since its reset. The last one is current.

    Returns:
      An image, a uint8 array [height, width, 3].
    """

  def caption(self, states: np.ndarray) -> str:
    """Returns a line about the current state, such as speeds; '' for none.

    Args:
      states: As for `__call__`.
    """
    del states
    return ''

  def close(self) -> None:  # noqa: B027
    """Releases resources. The renderer cannot be called afterwards."""


# The class's name in version 0.1.0.
Painter = Renderer
