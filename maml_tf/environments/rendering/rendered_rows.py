"""The rendering methods of a task environment, which families may override."""

from typing import Any

import numpy as np

from maml_tf.core import errors
from maml_tf.environments import tasks as tasks_lib
from maml_tf.environments.rendering import renderer

# Methods that version 0.1.0 called by another name.
_FORMER_NAMES = {
  'render_state': 'picture_states',
  'create_renderer': 'create_painter',
}


class RenderedRows:
  """Rows whose states a renderer can turn into images."""

  def __init_subclass__(cls, **kwargs: Any):
    """Gives overridden rendering methods both their names."""
    super().__init_subclass__(**kwargs)
    own = cls.__mro__[: cls.__mro__.index(RenderedRows)]
    for names in _FORMER_NAMES.items():
      # The first class of the two names' owners overrides both, mixins too.
      for base in own:
        found = [name for name in names if name in vars(base)]
        if found:
          for name in names:
            if name not in vars(base):
              setattr(cls, name, vars(base)[found[0]])
          break

  def prepare_rendering(self) -> None:
    """Prepares for episodes that will be rendered; it is called before them.

    Raises:
      errors.UsageError: The environment cannot be rendered.
    """
    if type(self).render_state is RenderedRows.render_state:
      raise errors.UsageError(self._cannot_be_rendered())

  def render_state(self) -> np.ndarray:
    """Returns the states of the rows that a renderer needs, float64 [N, S].

    Raises:
      errors.UsageError: The environment cannot be rendered.
    """
    raise errors.UsageError(self._cannot_be_rendered())

  def create_renderer(
    self, task: Any, states: np.ndarray, width: int, height: int
  ) -> renderer.Renderer:
    """Creates a renderer of one row.

    Args:
      task: The row's task.
      states: A float64 array [K, S] of all the states that will be rendered, so
        that the renderer can choose a view that shows them all.
      width: The width of the images in pixels.
      height: The height of the images in pixels.

    Raises:
      errors.UsageError: The environment cannot be rendered, or this machine has
        no library that renders it.
    """
    raise errors.UsageError(self._cannot_be_rendered())

  def describe_task(self, task: Any) -> str:
    """Returns what a film calls a task, in one short line."""
    return f'task {tasks_lib.name(task)}'

  # The names of version 0.1.0.
  picture_states = render_state
  create_painter = create_renderer

  def _cannot_be_rendered(self):
    return (
      f'{type(self).__name__} cannot be rendered: give it the methods'
      ' render_state and create_renderer'
    )
