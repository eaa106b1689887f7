"""Any Gymnasium family of tasks, ready for training."""

from collections.abc import Mapping
import contextlib
import functools
import traceback
from typing import Any

import gin
import numpy as np

from maml_tf.core import checks
from maml_tf.core import cpu
from maml_tf.core import errors
from maml_tf.core import terminal
from maml_tf.environments import mujoco_batch
from maml_tf.environments import task_environment
from maml_tf.environments import tasks as tasks_lib
from maml_tf.environments.gymnasium_bridge import environment_processes
from maml_tf.environments.gymnasium_bridge import environment_rows
from maml_tf.environments.gymnasium_bridge import family_check
from maml_tf.environments.gymnasium_bridge import gymnasium_spaces
from maml_tf.environments.gymnasium_bridge import returned_values
from maml_tf.environments.gymnasium_bridge import row_processes
from maml_tf.environments.gymnasium_bridge import task_family
from maml_tf.environments.rendering import headless_graphics
from maml_tf.environments.rendering import picture_renderer
from maml_tf.environments.rendering import renderer

# A cheaper step is not worth sending to a process [s].
_CHEAP_STEP = 200e-6

# Starting a process and making its environments may take so long [s].
_START_TIMEOUT = 600.0

# Otherwise Gymnasium's MuJoCo environments would write a log file.
mujoco_batch.route_warnings()


@gin.configurable
class GymnasiumTasks(task_environment.TaskEnvironment):
  """N = B*E Gymnasium environments that have `set_task(task)`.

      train_eval.environment_class = @GymnasiumTasks
      GymnasiumTasks.make_environment = @my_module.MyEnv

  A task is any object: a number, a dict, an array, a pickle. Wrappers around
  the environment may stay. `sample_tasks(n)` is the environment's own, one of a
  wrapper's, or a function that is given here; alternatively, there is a finite
  list. Every episode begins with `reset(seed=...)`, where the seed comes from
  the row's random stream: the same seeds give the same bits, for any number of
  processes, as long as the environment draws from `self.np_random`. The class
  may have a `task_label`, see `TaskFamily`.

  Rewards become float32. Actions are clipped to the bounds of a `Box`. The
  environment ends its episodes as Gymnasium means it: terminated has the
  discount 0, truncated the discount 1. The horizon truncates besides. If `info`
  has a key 'success', an episode is successful once it is true.

  Before anything else, one environment is tried: what `reset` and `step` return
  is compared with Gymnasium's interface and the spaces.
  """

  _rows: Any = None
  _stepped: environment_rows.RowsStep | None = None

  def __init__(
    self,
    num_tasks: int = 20,
    environments_per_task: int = 10,
    horizon: int = 100,
    make_environment: task_family.EnvironmentFactory | str | None = None,
    environment_arguments: Mapping[str, Any] | None = None,
    sample_tasks: task_family.TaskSampler | None = None,
    training_tasks: Any = None,
    held_out_tasks: Any = None,
    num_processes: int | None = None,
    timeout: float = 60.0,
    max_restarts: int = 10,
  ):
    """Makes the environments and tries one of them.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps after which an episode is truncated.
      make_environment: Makes one environment: a class, a function, or an id
        that is registered with Gymnasium.
      environment_arguments: Its keyword arguments.
      sample_tasks: Draws n tasks, given n, and a generator if it has a
        parameter `rng`. None: the environment's own `sample_tasks`.
      training_tasks: A finite list of tasks, or a function that returns one.
        None: the environment's attribute of this name, if it has one.
      held_out_tasks: The same for the tasks of evaluation.
      num_processes: The number of processes that play the rows; 1: this one
        plays them all. None: this one if a step takes less than 200
        microseconds, else one process for each core.
      timeout: In processes of their own, the longest time that a step or reset
        of all rows of a process may take [s].
      max_restarts: In processes of their own, how many failures are accepted:
        processes that die or hang, environments that raise. An episode that is
        lost to a failure is truncated there and counted as discarded.

    Raises:
      ValueError: If an argument is impossible, or the environment does not
        return what Gymnasium and its spaces say.
      errors.UsageError: If the environment's own code raises.
    """
    self._max_restarts = checks.integer('max_restarts', max_restarts, 0)
    self._timeout = checks.number('timeout', timeout, above=0)
    if num_processes is not None:
      checks.integer('num_processes', num_processes, 1)
    self._num_processes = num_processes
    self._make = task_family.factory(
      make_environment, environment_arguments or {}
    )
    self._error = errors.UsageError
    self._name = task_family.name_of(make_environment)
    with self._user_code('the constructor of'):
      # Through gin, which so records its parameters.
      self._example = family_check.check_interface(self._make())
    self._name = returned_values.class_name(self._example)
    super().__init__(
      gymnasium_spaces.to_spec(self._example.observation_space, 'observation'),
      gymnasium_spaces.to_spec(self._example.action_space, 'action'),
      task_shape=None,
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
    )
    self._task_list = task_family.task_list(
      training_tasks, held_out_tasks, self._example
    )
    self._sampler = sample_tasks or task_family.find(
      self._example, 'sample_tasks'
    )
    if self._task_list is None and not callable(self._sampler):
      raise ValueError(
        f'{self._name} has no sample_tasks: give it sample_tasks(n), or set'
        ' GymnasiumTasks.sample_tasks or GymnasiumTasks.training_tasks'
      )
    self._try_example()
    self.task_label = task_family.label(self._example)
    self._discarded = np.zeros(self.batch_size, bool)
    self._error = errors.RunError

  @property
  def num_processes(self) -> int:
    """The number of processes that play the rows; 1: this one."""
    if self._num_processes is not None:
      return min(self._num_processes, self.batch_size)
    if self._trial.seconds_per_step < _CHEAP_STEP:
      return 1
    return min(cpu.count(), self.batch_size)

  @property
  def num_restarts(self) -> int:
    """How often a process or an environment in one was replaced."""
    return getattr(self._rows, 'num_restarts', 0)

  @property
  def may_discard(self) -> bool:
    return True

  @property
  def discarded(self) -> np.ndarray:
    return self._discarded

  @property
  def success(self) -> np.ndarray | None:
    if not self._trial.reports_success:
      return None
    if self._stepped is None:
      return np.zeros(self.batch_size, bool)
    return self._stepped.success

  @property
  def task_list(self) -> tasks_lib.TaskList | None:
    return self._task_list

  def sample_tasks(self, n: int, rng: np.random.Generator) -> list[Any]:
    """Draws n tasks, from the training list if there is one."""
    if self._task_list is not None:
      training = self._task_list.training
      return [training[i] for i in rng.integers(len(training), size=n)]
    with self._user_code('sample_tasks of'):
      return task_family.sample(self._sampler, self._example, n, rng)

  def close(self) -> None:
    if self._rows is not None:
      self._rows.close()
      self._rows = None
    try:
      self._example.close()
    except Exception:  # It is not used any more.
      traceback.print_exc()

  def prepare_rendering(self) -> None:
    """Makes environments that render pictures, render_mode='rgb_array'."""
    headless_graphics.choose_library()
    self._make = task_family.rendering(self._make, self._name)
    if self._rows is not None:
      self._rows.close()
      self._rows = None
    # Pictures are drawn in this process.
    self._num_processes = 1

  def render_state(self) -> np.ndarray:
    """Returns the rows' pictures, uint8 [N, height * width * 3]."""
    with self._user_code('render of'):
      pictures = self._playing_rows().render()
    return np.stack(
      [picture_renderer.to_state(picture, self._name) for picture in pictures]
    )

  def create_renderer(
    self, task: Any, states: np.ndarray, width: int, height: int
  ) -> renderer.Renderer:
    del task, states  # The pictures are in the states.
    return picture_renderer.PictureRenderer(width, height)

  def _check_tasks(self, tasks):
    rows = [t for t in tasks for _ in range(self.environments_per_task)]
    # If one row refuses, others may have their new tasks already.
    self._tasks = self._current_time_step = None
    with self._user_code('set_task of'):
      self._playing_rows().set_tasks(rows)

  def _draw_starts(self, generator, num_rows):
    return generator.integers(2**31, size=num_rows)

  def _reset_rows(self, rows, starts):
    with self._user_code('reset of'):
      observation = self._playing_rows().reset(rows, starts)
    return self._to_arrays(observation)

  def _advance(self, action):
    value = gymnasium_spaces.to_value(
      self._example.action_space, action, (self.batch_size,)
    )
    with self._user_code('step of'):
      stepped = self._playing_rows().step(
        value, np.flatnonzero(self._ended).tolist()
      )
    self._stepped = stepped
    self._discarded = np.zeros(self.batch_size, bool)
    self._discarded[list(stepped.failures)] = True
    return (
      self._to_arrays(stepped.observation),
      stepped.reward.astype(np.float32),
      stepped.terminated,
    )

  def _truncated_rows(self):
    assert self._stepped is not None
    return self._stepped.truncated

  def _to_arrays(self, observation):
    return gymnasium_spaces.to_arrays(
      self._example.observation_space, observation
    )

  def _try_example(self):
    """Tries the example, and logs what may be wrong."""
    with self._user_code('a trial episode of'):
      rng = np.random.default_rng(0)
      if self._task_list is not None:
        tasks = self._task_list.training[:2]
        warnings = []
      else:
        tasks = self.sample_tasks(2, rng)
        warnings = family_check.check_sampler(self._sampler, self._example)
      self._trial = family_check.try_family(self._example, tasks, self.horizon)
    if self.num_processes > 1:
      task_family.check_sendable(self._make, tasks)
    limit = self._trial.time_limit
    if limit is not None and limit != self.horizon:
      first = 'its time limit' if limit < self.horizon else 'the horizon'
      warnings.append(
        f'{self._name} has a time limit of {limit} steps, train_eval.horizon is'
        f' {self.horizon}: {first} ends the episodes'
      )
    for line in (*self._trial.warnings, *warnings):
      _log_once(line)

  def _playing_rows(self):
    """The rows, made when they are first needed."""
    if self._rows is None:
      num_processes = self.num_processes
      if num_processes == 1:
        self._rows = environment_rows.EnvironmentRows(
          self._make,
          self.batch_size,
          returned_values,
          self._trial.reports_success,
        )
      else:
        self._rows = row_processes.RowProcesses(
          task_family.without_gin(self._make),
          self.batch_size,
          num_processes,
          self._trial.reports_success,
          self._timeout,
          _START_TIMEOUT,
          self._max_restarts,
        )
    return self._rows

  @contextlib.contextmanager
  def _user_code(self, what: str):
    """Translates exceptions of the user's own code.

    One line says where; the traceback follows it on the terminal.

    Args:
      what: The subject of the line, such as 'step of'; the name follows.
    """
    try:
      yield
    except (errors.UsageError, errors.RunError):
      raise
    except environment_processes.EnvironmentFailure as error:
      setting = type(self).__name__
      raise self._error(
        f'{self._name} {error.failure.summary}: fix it, or raise'
        f' {setting}.timeout if it is slow, {setting}.max_restarts if it fails'
        ' rarely',
        error.failure.traceback,
      ) from error
    except Exception as error:
      if _is_ours(error):
        # Its message names fault and remedy. An interrupt passes through.
        if isinstance(error, ValueError) and self._error is errors.RunError:
          raise errors.RunError(str(error)) from error
        raise
      line = ' '.join(''.join(traceback.format_exception_only(error)).split())
      raise self._error(
        f'{what} {self._name} raised {line}', traceback.format_exc()
      ) from error


def _is_ours(error):
  """Whether maml_tf itself raised."""
  frame = error.__traceback__
  while frame.tb_next is not None:
    frame = frame.tb_next
  return frame.tb_frame.f_globals.get('__name__', '').startswith('maml_tf.')


@functools.cache
def _log_once(line: str) -> None:
  terminal.log(f'warning: {line}')
