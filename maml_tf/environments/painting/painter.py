"""What draws the rows of an environment."""

import abc

import numpy as np


class Painter(abc.ABC):
  """Draws one row at a time; see `TaskEnvironment.create_painter`."""

  @abc.abstractmethod
  def __call__(self, states: np.ndarray) -> np.ndarray:
    """Draws a row as it is now.

    Args:
      states: What `picture_states` said of the row since its reset, an array
        [t + 1, S].

    Returns:
      A uint8 array [height, width, 3].
    """

  def close(self) -> None:  # noqa: B027
    """Gives back what it holds; nothing can be drawn any more."""
