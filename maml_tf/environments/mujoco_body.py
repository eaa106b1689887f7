"""A family of tasks for one MuJoCo body, N copies of which move together."""

from collections.abc import Callable
from collections.abc import Sequence
import importlib.util
import os
from typing import Any

import mujoco
import numpy as np
from tf_agents.specs import array_spec

from maml_tf.core import checks
from maml_tf.environments import mujoco_batch
from maml_tf.environments import mujoco_models
from maml_tf.environments import task_environment
from maml_tf.environments.rendering import mujoco_renderer
from maml_tf.environments.rendering import renderer


class MujocoBody(task_environment.TaskEnvironment):
  """Tasks of a body of Gymnasium or of any XML, with Gymnasium's resets.

  Subclasses implement `sample_tasks`, `_observation` and `_advance`. The
  actions are the body's controls, which MuJoCo clamps to their ranges. A task
  may change the numbers of the body; then the E rows of a task share one model,
  and there are B models in memory besides the body's own. An episode terminates
  if the physics becomes unstable. In the last step of such an episode the body
  does not move.
  """

  def __init__(
    self,
    asset: str | mujoco.MjModel,
    frame_skip: int,
    num_observations: int,
    task_shape: tuple[int, ...],
    num_tasks: int,
    environments_per_task: int,
    horizon: int,
    reset_noise_scale: float,
    contact_forces: bool = False,
    change_model: Callable[[mujoco.MjModel, Any], None] | None = None,
    derived: Sequence[str] = (),
  ):
    """Loads the body N = B*E times.

    Args:
      asset: The file name of a body among Gymnasium's MuJoCo models; or the
        path of an XML file, or the XML itself, or a model that is loaded.
      frame_skip: The number of physics steps in one step.
      num_observations: O, the size of an observation.
      task_shape: The shape of one task, `()` if it is a number.
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps in an episode.
      reset_noise_scale: The scale s of the noise at a reset: uniform in [-s, s]
        on positions [m, rad], normal with standard deviation s on velocities
        [m/s, rad/s].
      contact_forces: Whether the physics computes them; see `MujocoBatch`.
      change_model: A function `(model, task) -> None` that writes the task's
        numbers into a model; see `mujoco_models.vary_model`. None: all tasks
        have the same model.
      derived: The names of arrays of `MjData` that the physics keeps; see
        `MujocoBatch`.

    Raises:
      ValueError: If an argument is out of range.
    """
    self._reset_noise_scale = checks.number(
      'reset_noise_scale', reset_noise_scale, minimum=0
    )
    self._change_model = change_model
    self._model = (
      mujoco_models.load_model(_find(asset))
      if isinstance(asset, str)
      else asset
    )
    super().__init__(
      observation_spec=array_spec.ArraySpec(
        (num_observations,), np.float32, 'observation'
      ),
      action_spec=array_spec.BoundedArraySpec(
        (self._model.nu,),
        np.float32,
        *self._model.actuator_ctrlrange.T,
        name='action',
      ),
      task_shape=task_shape,
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
    )
    self._step_seconds = self._model.opt.timestep * frame_skip
    self._physics = mujoco_batch.MujocoBatch(
      self._model,
      self.batch_size,
      frame_skip,
      contact_forces=contact_forces,
      derived=derived,
    )

  @property
  def physics(self) -> mujoco_batch.MujocoBatch:
    """The physics, which holds the rows' states in float64."""
    return self._physics

  @property
  def steps_outside_python(self) -> bool:
    return True

  def use_threads(self, num_threads: int) -> None:
    self._physics.use_threads(num_threads)

  def rest(self, rows: np.ndarray) -> None:
    super().rest(rows)
    self._physics.rest(self._resting)

  def set_tasks(self, tasks: Any) -> None:
    before = self._tasks, getattr(self, '_row_tasks', None)
    super().set_tasks(tasks)
    if self._change_model is not None:
      try:
        models = mujoco_models.vary_model(
          self._model, self._tasks, self._change_model
        )
      except BaseException:
        self._tasks, self._row_tasks = before
        raise
      each = self.environments_per_task
      self._physics.set_models([m for m in models for _ in range(each)])

  def close(self) -> None:
    self._physics.close()

  def render_state(self) -> np.ndarray:
    """Returns the physics states, float64 [N, 1 + nq + nv + na]."""
    return self._physics.state

  def create_renderer(
    self, task: Any, states: np.ndarray, width: int, height: int
  ) -> renderer.Renderer:
    del states  # The model's first camera decides what is seen.
    model = self._model
    if self._change_model is not None:
      (model,) = mujoco_models.vary_model(model, [task], self._change_model)
    return mujoco_renderer.MujocoRenderer(
      model, width, height, describe=self._describe_state
    )

  def _describe_state(self, state: np.ndarray) -> str:
    """Returns a line about a physics state [1 + nq + nv + na] for films."""
    return f'{state[0]:.2f} s'

  def _draw_starts(self, generator, num_rows):
    scale = self._reset_noise_scale
    qpos = generator.uniform(-scale, scale, (num_rows, self._model.nq))
    qvel = scale * generator.standard_normal((num_rows, self._model.nv))
    return np.concatenate([self._model.qpos0 + qpos, qvel], axis=1)

  def _draw_uniform_starts(self, generator, num_rows):
    """Draws like `_draw_starts`, but velocities are uniform in [-s, s] too."""
    scale = self._reset_noise_scale
    size = (num_rows, self._model.nq + self._model.nv)
    starts = generator.uniform(-scale, scale, size)
    starts[:, : self._model.nq] += self._model.qpos0
    return starts

  def _reset_rows(self, rows, starts):
    qpos, qvel = np.split(starts, [self._model.nq], axis=1)
    self._physics.rest(self._resting)
    self._physics.set_state(qpos, qvel, rows)
    return self._observation()[rows]

  def _unstable_rows(self):
    return self._physics.unstable

  def _observation(self) -> np.ndarray:
    """Returns new observations of all rows, float32 [N, O]."""
    raise NotImplementedError


def _find(asset: str) -> str:
  """Returns XML or a path. A bare file name is Gymnasium's if it has it."""
  if not os.path.dirname(asset) and os.path.isfile(asset_path(asset)):
    return asset_path(asset)
  return asset


def asset_path(name: str) -> str:
  """Returns the path of one of Gymnasium's MuJoCo models.

  Args:
    name: The file's name, such as 'half_cheetah.xml'.
  """
  # This finds the package without importing it, which saves time.
  spec = importlib.util.find_spec('gymnasium')
  assert spec is not None and spec.submodule_search_locations
  package = spec.submodule_search_locations[0]
  return os.path.join(package, 'envs', 'mujoco', 'assets', name)
