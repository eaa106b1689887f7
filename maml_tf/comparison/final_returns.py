"""What runs have reached: means of their last iterations, over seeds."""

from collections.abc import Sequence
import math
from typing import NamedTuple

import numpy as np

from maml_tf.comparison import metrics_tables
from maml_tf.comparison import run_groups
from maml_tf.comparison import run_records
from maml_tf.core import interquartile_means

RETURN, SUCCESS = 'return', 'success'


class RunEnd(NamedTuple):
  """What a run has reached. Numbers that it did not record are NaN.

  Attributes:
    run: The run.
    env_steps: The environment steps so far.
    wall_seconds: The seconds so far.
    speed: Environment steps per second, the median over the iterations.
    returns: The returns after 0, 1, ... adaptation steps, means over the last
      share of the iterations, [X + 1].
    successes: The rates of success likewise; empty if there are none.
  """

  run: run_records.RunRecord
  env_steps: float
  wall_seconds: float
  speed: float
  returns: np.ndarray
  successes: np.ndarray


class GroupEnd(NamedTuple):
  """What the runs of a group have reached.

  Attributes:
    group: The group.
    runs: Its runs.
    returns: Over the seeds, after 0, 1, ... adaptation steps.
    successes: The rates of success likewise; empty if there are none.
    evaluated: The returns in the evaluation likewise, of the runs that have an
      evaluation; empty if there are none.
    speed: Environment steps per second, the mean over the runs.
  """

  group: run_groups.RunGroup
  runs: tuple[RunEnd, ...]
  returns: tuple[interquartile_means.Summary, ...]
  successes: tuple[interquartile_means.Summary, ...]
  evaluated: tuple[interquartile_means.Summary, ...]
  speed: float


def of_group(group: run_groups.RunGroup, last_share: float) -> GroupEnd:
  """Returns what the runs of a group have reached.

  Args:
    group: A group whose runs all have rows and returns.
    last_share: The share of the iterations, from the end, of the means.
  """
  ends = [_of_run(run, last_share) for run in group.runs]
  return GroupEnd(
    group,
    tuple(ends),
    _summaries([end.returns for end in ends]),
    _summaries([end.successes for end in ends]),
    _summaries([r.evaluated for r in group.runs if len(r.evaluated)]),
    round(float(np.mean([end.speed for end in ends])), 1),
  )


def num_last(num_iterations: int, last_share: float) -> int:
  """Returns how many iterations, at least one, are the last share of all."""
  # Iterations at equal distances: the last of 10 are 10%.
  return max(1, math.ceil(last_share * num_iterations - 1e-9))


def decimals(values: Sequence[float]) -> int:
  """Returns the number of decimals that shows four digits of all values."""
  largest = max((abs(v) for v in values if math.isfinite(v)), default=0)
  digits = math.floor(math.log10(largest)) + 1 if largest else 1
  return min(max(4 - digits, 0), 9)


def _of_run(run: run_records.RunRecord, last_share: float) -> RunEnd:
  count = num_last(run.num_iterations, last_share)

  def last(column):
    return run.table[column][-1] if column in run.table else np.nan

  def means(metric):
    columns = metrics_tables.steps_of(run.table, metric)
    return np.array(
      [metrics_tables.moving_mean(run.table[c], count)[-1] for c in columns]
    )

  speeds = run.table.get('env_steps_per_second', np.zeros(0))
  speeds = speeds[np.isfinite(speeds)]
  return RunEnd(
    run,
    last('env_steps'),
    last('wall_seconds'),
    round(float(np.median(speeds)), 1) if len(speeds) else np.nan,
    means(RETURN),
    means(SUCCESS),
  )


def _summaries(
  runs: Sequence[np.ndarray],
) -> tuple[interquartile_means.Summary, ...]:
  """Summarizes steps that all runs have, from arrays [X + 1]."""
  if not runs:
    return ()
  return tuple(map(interquartile_means.summarize, zip(*runs)))
