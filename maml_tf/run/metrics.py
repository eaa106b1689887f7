"""The metrics of one meta-iteration: a flat dictionary of numbers by name.

A new metric is one line here or none: the fields of `MamlLossInfo` and the
counts named in `shared_collection.COUNTS` are taken as they are; a number that
is at hand is a line in `of_iteration`. CONTRIBUTING.md has an example of each.
"""

from collections.abc import Mapping
from collections.abc import Sequence

import numpy as np
from tf_agents.agents import tf_agent
from tf_agents.typing import types

from maml_tf import evaluation
from maml_tf.evaluation import statistics as evaluation_statistics
from maml_tf.run import loggers
from maml_tf.run import shared_collection

# Fields of `MamlLossInfo` that control the run rather than describe it.
_NOT_REPORTED = ('finite_tasks', 'is_taken')

# The beginning of the names of counts of successful episodes.
_SUCCESSES = 'successes_step_'
# The name of their share of all episodes.
_SUCCESS = 'success'


def of_iteration(
  iteration: int,
  env_steps: int,
  wall_seconds: float,
  collection: shared_collection.Collection,
  loss_info: tf_agent.LossInfo,
  is_skipped: bool,
  collect_seconds: float,
  update_seconds: float,
  task_names: Sequence[str] = (),
) -> dict[str, float]:
  """Returns the metrics of a meta-iteration in the order of metrics.csv.

  Args:
    iteration: The meta-iteration, from 1.
    env_steps: Transitions since the run began, of all tasks and stages.
    wall_seconds: Seconds since the run began.
    collection: The `Collection` of all workers.
    loss_info: A `LossInfo` whose extra is a `MamlLossInfo`.
    is_skipped: Whether training skipped this meta-batch.
    collect_seconds: Seconds that the collection took.
    update_seconds: Seconds that the update took.
    task_names: The names of the family's tasks if there are few, in the order
      of `Collection.task_places`. Each gets its mean return.
  """
  counts = dict(collection.counts)
  collected_steps = counts.pop('env_steps')
  successes = [counts.pop(n) for n in list(counts) if n.startswith(_SUCCESSES)]
  means = collection.returns.mean(axis=(1, 2))
  return flatten(
    {
      'iteration': iteration,
      'env_steps': env_steps,
      'wall_seconds': round(wall_seconds, 3),
      'return': means,
      'return_min': collection.returns.min(axis=(1, 2)),
      'return_max': collection.returns.max(axis=(1, 2)),
      **_of_tasks(task_names, collection),
      'adaptation_delta': means[-1] - means[0],
      'meta_loss': loss_info.loss,
      **_of_update(loss_info.extra),
      **counts,
      **_success_rates(successes, collection.returns),
      'skipped_meta_batches': int(is_skipped),
      'collect_seconds': round(collect_seconds, 4),
      'update_seconds': round(update_seconds, 4),
      'env_steps_per_second': round(
        collected_steps / (collect_seconds + update_seconds), 1
      ),
    }
  )


def columns(
  collection: shared_collection.Collection,
  loss_info: tf_agent.LossInfo,
  task_names: Sequence[str] = (),
) -> dict[str, Sequence[str]]:
  """Returns the columns that a run writes to its files, by the file's name.

  Args:
    collection: A `Collection` with the run's counts and number of stages.
    loss_info: As for `of_iteration`, of any values.
    task_names: As for `of_iteration`.
  """
  scalars = of_iteration(
    0, 0, 0.0, collection, loss_info, True, 1.0, 1.0, task_names
  )
  statistics = evaluation_statistics.StepStatistics._fields
  if any(name.startswith(_SUCCESSES) for name in collection.counts):
    statistics = (*statistics, _SUCCESS)
  return {
    loggers.METRICS_FILE: tuple(scalars),
    loggers.EVALUATIONS_FILE: loggers.evaluation_columns(statistics),
  }


def _of_tasks(task_names, collection):
  """Mean returns of each named task by stage; NaN if no place played it."""
  by_place = collection.returns.mean(axis=2)
  places = np.array(collection.task_places)
  means = {}
  for task, name in enumerate(task_names):
    is_played = places == task
    means[f'return_task_{name}'] = (
      by_place[:, is_played].mean(axis=1)
      if is_played.any()
      else np.full(len(by_place), np.nan)
    )
  return means


def _success_rates(successes, returns):
  """Success rates by stage if the environment has successes."""
  if not successes:
    return {}
  _, num_tasks, num_episodes = returns.shape
  rates = np.array(successes) / (num_tasks * num_episodes)
  # Without a collection there were no episodes.
  rates[np.isnan(returns).any(axis=(1, 2))] = np.nan
  return {_SUCCESS: rates}


def of_evaluation(
  evaluated: evaluation.Evaluation, env_steps: int
) -> dict[str, float]:
  """Returns the statistics of an evaluation, named `evaluation/...`.

  Args:
    evaluated: The evaluation of the trained policy alone.
    env_steps: Transitions since the run began.
  """
  (trained,) = evaluated.policies
  statistics = {
    f'{loggers.EVALUATION}{name}': [
      getattr(s, name) for s in trained.statistics
    ]
    for name in trained.statistics[0]._fields
  }
  if trained.success_rates is not None:
    statistics[f'{loggers.EVALUATION}{_SUCCESS}'] = trained.success_rates
  return flatten({'env_steps': env_steps, **statistics})


def flatten(metrics: Mapping[str, types.Array]) -> dict[str, float]:
  """Returns plain numbers by name.

  Args:
    metrics: Numbers, and vectors whose element i becomes `<name>_step_<i>`.
  """
  flat = {}
  for name, value in metrics.items():
    if np.ndim(value):
      vector = np.asarray(value)
      flat.update({f'{name}_step_{i}': float(x) for i, x in enumerate(vector)})
    else:
      flat[name] = value if isinstance(value, int) else float(value)
  return flat


def _of_update(extra):
  """The fields of a `MamlLossInfo` that are reported."""
  return {
    name: value
    for name, value in extra._asdict().items()
    if name not in _NOT_REPORTED
  }
