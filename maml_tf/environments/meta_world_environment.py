"""One Gymnasium environment that plays the tasks of every Meta-World class.

Worker processes get this class by value and do not import maml_tf, since
importing TensorFlow would cost seconds at every start.
"""

import importlib
from typing import Any

import gymnasium
from gymnasium import spaces
import numpy as np


class MetaWorldEnvironment(gymnasium.Env):
  """Plays an environment of the current task's class.

  It holds a single environment of Meta-World, about 22 MB, which `set_task`
  replaces when the class changes.

  The observation holds the position of the hand, the opening of the gripper,
  positions and orientations of two objects, the same of the step before, and
  zeros in place of the goal. The action moves the hand and the gripper. Starts
  and goal belong to the task: each episode of a task begins in the same state,
  whatever the seed.

  Attributes:
    max_path_length: The number of steps after which an episode is truncated.
  """

  # Bounds of the hand's position are left out: nothing uses them.
  observation_space = spaces.Box(-np.inf, np.inf, (39,), np.float64)
  action_space = spaces.Box(-1, 1, (4,), np.float32)
  metadata = {'render_modes': ['rgb_array'], 'render_fps': 80}
  max_path_length = 500

  def __init__(
    self, reward_function_version: str = 'v2', render_mode: str | None = None
  ):
    """Stores the settings; `set_task` makes the environment.

    Args:
      reward_function_version: 'v2', from 0 to 10 a step, or 'v1'.
      render_mode: 'rgb_array', or None: no pictures.
    """
    self.render_mode = render_mode
    self._arguments = {
      'render_mode': render_mode,
      'reward_function_version': reward_function_version,
    }
    self._class_name = ''
    self._environment: Any = None

  def set_task(self, task: Any) -> None:
    """Gives the environment a task.

    Args:
      task: A `Task` of Meta-World, or anything with its attributes.
    """
    if task.env_name != self._class_name:
      # Only here, so that nothing but playing needs Meta-World.
      classes = importlib.import_module('metaworld').ALL_V3_ENVIRONMENTS
      self.close()
      self._environment = classes[task.env_name](**self._arguments)
      self._class_name = task.env_name
    self._environment.set_task(task)

  def reset(self, *, seed: int | None = None, options: Any = None):
    return self._environment.reset(seed=seed, options=options)

  def step(self, action):
    return self._environment.step(action)

  def render(self):
    return self._environment.render()

  def close(self) -> None:
    if self._environment is not None:
      self._environment.close()
    self._environment = None
    self._class_name = ''
