"""--num_adaptation_steps, --episodes and --seed: how a command adapts."""

from collections.abc import Iterator
import contextlib
import math
from typing import Any

from absl import flags

from maml_tf.adaptation import task_adaptation
from maml_tf.core import checks
from maml_tf.core import terminal
from maml_tf.environments import task_environment
from maml_tf.run import trained_run

_FLAGS = flags.FLAGS


def check() -> None:
  """Raises ValueError for flags that are wrong in every run."""
  for name, minimum, maximum in (
    ('seed', 0, math.inf),
    ('episodes', 1, checks.MAX_SIZE),
    ('num_adaptation_steps', 0, checks.MAX_ADAPTATION_STEPS),
  ):
    value = _FLAGS[name].value
    if value is not None:
      checks.integer(name, value, minimum, maximum)


def seed() -> int:
  """Returns the seed of resets and actions."""
  return _FLAGS.seed or 0


@contextlib.contextmanager
def playing(
  run: trained_run.TrainedRun, task: Any
) -> Iterator[task_environment.TaskEnvironment]:
  """Yields an environment that plays all episodes of a step side by side."""
  num_episodes = _FLAGS.episodes
  if num_episodes is None:
    num_episodes = run.episodes_per_task
  with contextlib.closing(
    run.create_environment(1, num_episodes)
  ) as environment:
    environment.set_tasks([task])
    yield environment


def adapt(
  command: str,
  run: trained_run.TrainedRun,
  environment: task_environment.TaskEnvironment,
  **settings,
) -> task_adaptation.Adaptation:
  """Adapts as the flags say, and logs the steps that were not taken.

  Args:
    command: The command's name, which begins the lines.
    run: The run whose agent adapts.
    environment: The one of `playing`.
    **settings: Other arguments of `task_adaptation.adapt`.
  """
  adapted = task_adaptation.adapt(
    run.agent,
    environment,
    _FLAGS.num_adaptation_steps,
    environment.environments_per_task,
    seed=seed(),
    **settings,
  )
  for number, step in enumerate(adapted.steps, 1):
    if not step.taken:
      terminal.log(f'{command}: step {number} was not taken: {step.reason}')
  return adapted
