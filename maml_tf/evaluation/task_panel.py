"""A panel of returns against the number that is a task."""

from typing import Any

from matplotlib import axes as axes_lib
from matplotlib import colors
import numpy as np

from maml_tf.core import phrases
from maml_tf.environments import tasks as tasks_lib
from maml_tf.evaluation import evaluator as evaluation

# A family with fewer tasks needs no axis for them.
_FEWEST_VALUES = 6

# Of more steps, only the first ones and the last one are drawn.
_MOST_STEPS = 4

_POINT_SIZE = 26

# Before adaptation, and after one step, two, and so on: from light to dark.
_FIRST_COLOR = 'gold'
_LATER_COLORS = ('#8cc5e3', '#2e75b6', '#0b1f4b')


def task_values(tasks: Any) -> np.ndarray | None:
  """Returns tasks that are one number each as [B]; None: draw no panel.

  Args:
    tasks: The tasks, a float64 array [B, ...] or a list of B objects.
  """
  parts = [tasks_lib.parts(task) for task in tasks]
  names = {tuple(name for name, _ in of_task) for of_task in parts}
  if len(names) != 1 or len(parts[0]) != 1:
    return None
  values = [value for ((_, value),) in parts]
  if None in values or len(set(values)) < _FEWEST_VALUES:
    return None
  return np.array(values, np.float64)


def step_colors(num_steps: int) -> dict[int, tuple[float, ...]]:
  """Returns the colours of the steps that are drawn, of 0, ..., S.

  Args:
    num_steps: S, the number of adaptation steps.
  """
  steps = list(range(num_steps + 1))
  if len(steps) > _MOST_STEPS:
    steps = [*steps[: _MOST_STEPS - 1], steps[-1]]
  later = _LATER_COLORS[len(_LATER_COLORS) - len(steps) + 1 :]
  names = (_FIRST_COLOR, *later)
  return {step: colors.to_rgba(name) for step, name in zip(steps, names)}


def draw(
  axes: axes_lib.Axes,
  result: evaluation.Evaluation,
  values: np.ndarray,
  oracle_look: dict[str, Any],
) -> None:
  """Draws a point for each task and step of the trained policy.

  If there is an oracle, a line shows its returns.

  Args:
    axes: Where to draw.
    result: The evaluation.
    values: The tasks, from `task_values`.
    oracle_look: The colour and style of the oracle's line.
  """
  returns = result.policies[0].returns.mean(axis=2)
  # With many tasks the points would hide each other.
  size = _POINT_SIZE if len(values) <= 100 else _POINT_SIZE / 3
  for step, color in step_colors(len(returns) - 1).items():
    label = phrases.after_steps(step)
    look = {'color': color, 'edgecolors': 'white', 'linewidths': 0.4}
    axes.scatter(values, returns[step], s=size, **look)
    axes.scatter([], [], s=_POINT_SIZE, label=label, **look)
  for policy in result.policies:
    if policy.name == 'oracle':
      distinct, places = np.unique(values, return_inverse=True)
      sums = np.bincount(places, policy.returns[0].mean(axis=1))
      # Behind the points.
      axes.plot(distinct, sums / np.bincount(places), zorder=1, **oracle_look)
  label = result.task_label
  ((name, _),) = tasks_lib.parts(result.tasks[0])
  if label == tasks_lib.TaskFamily.task_label and name != '0':
    label = name
  axes.set_xlabel(label)
  axes.set_ylabel('return, mean over episodes')
  axes.grid(alpha=0.3)
