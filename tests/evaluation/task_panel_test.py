"""The panel of returns against tasks that are one number."""

from matplotlib import figure as figure_lib
import numpy as np
import pytest

from maml_tf import evaluation
from maml_tf.environments import locomotion
from maml_tf.environments import observed_task
from maml_tf.environments import task_groups
from maml_tf.evaluation import plot
from maml_tf.evaluation import statistics
from maml_tf.evaluation import task_panel

_SIX = [0.5, 1.0, 2.0, -1.0, 0.0, 7.0]


@pytest.mark.parametrize(
  ('tasks', 'values'),
  [
    (np.array(_SIX), _SIX),
    (np.array(_SIX)[:, np.newaxis], _SIX),
    ([{'mass': mass} for mass in _SIX], _SIX),
    # Copies are not different tasks.
    (np.array([-1.0, 1.0] * 20), None),
    (np.array(_SIX[:5] * 2), None),
    # Several numbers, parts that are none, and other parts.
    (np.ones((9, 2)) * np.arange(9)[:, np.newaxis], None),
    ([{'mass': mass, 'name': 'a'} for mass in _SIX], None),
    ([str(mass) for mass in _SIX], None),
    ([*_SIX, {'mass': 1}], None),
  ],
)
def test_tasks_of_one_number_have_a_panel(tasks, values):
  found = task_panel.task_values(tasks)
  assert (None if found is None else found.tolist()) == values


def test_of_many_steps_the_first_and_the_last_are_drawn():
  assert list(task_panel.step_colors(0)) == [0]
  assert list(task_panel.step_colors(1)) == [0, 1]
  assert list(task_panel.step_colors(3)) == [0, 1, 2, 3]
  assert list(task_panel.step_colors(9)) == [0, 1, 2, 9]
  for num_steps in (1, 3, 9):
    colors = task_panel.step_colors(num_steps).values()
    assert len(set(colors)) == len(colors)
  # The last step has the darkest colour however many there are.
  assert task_panel.step_colors(1)[1] == task_panel.step_colors(9)[9]


def _evaluation(tasks, returns, references=(), **kwargs):
  """An evaluation of mean returns [S + 1, B], two episodes each."""
  policies = [('trained', returns), *references]
  both = [(name, np.stack([r - 1, r + 1], axis=2)) for name, r in policies]
  return evaluation.Evaluation(
    5,
    0,
    'constant',
    tasks,
    tuple(
      evaluation.PolicyEvaluation(name, r, statistics.over_tasks(r))
      for name, r in both
    ),
    **kwargs,
  )


def test_a_point_is_the_return_of_a_task_after_a_step():
  values = np.array([*_SIX, 7.0])
  returns = np.arange(14.0).reshape(2, 7)
  result = _evaluation(
    values, returns, [('oracle', 3 * np.arange(7.0)[np.newaxis])]
  )
  axes = figure_lib.Figure().subplots()
  task_panel.draw(axes, result, values, {'color': 'red'})
  before, after = (c for c in axes.collections if len(c.get_offsets()))
  for points, expected in zip((before, after), returns):
    np.testing.assert_array_equal(
      points.get_offsets(), np.stack([values, expected], axis=1)
    )
  for points, color in zip((before, after), task_panel.step_colors(1).values()):
    np.testing.assert_array_equal(points.get_facecolor()[0], color)
  _, labels = axes.get_legend_handles_labels()
  assert labels == ['before adaptation', 'after 1 step']
  # The tasks in order; two are 7, whose returns 15 and 18 have the mean 16.5.
  (line,) = axes.get_lines()
  np.testing.assert_array_equal(
    line.get_xydata(),
    [[-1, 9], [0, 12], [0.5, 0], [1, 3], [2, 6], [7, 16.5]],
  )


@pytest.mark.parametrize(
  ('tasks', 'kwargs', 'label'),
  [
    (np.array(_SIX), {}, 'task'),
    (np.array(_SIX), {'task_label': 'mass [kg]'}, 'mass [kg]'),
    ([{'mass': m} for m in _SIX], {}, 'mass'),
    ([{'mass': m} for m in _SIX], {'task_label': 'mass [kg]'}, 'mass [kg]'),
  ],
)
def test_the_axis_says_what_the_number_is(tasks, kwargs, label):
  result = _evaluation(tasks, np.ones((1, 6)), **kwargs)
  axes = figure_lib.Figure().subplots()
  task_panel.draw(axes, result, task_panel.task_values(tasks), {})
  assert axes.get_xlabel() == label


def test_wrapped_families_keep_their_label():
  make = locomotion.HalfCheetahVelocity
  groups = task_groups.TaskGroups([make(1, 1, 5), make(1, 1, 5)])
  observed = observed_task.ObservedTask(groups)
  assert observed.task_label == make.task_label == 'target velocity [m/s]'
  assert locomotion.HalfCheetahDirection.task_label == 'task'
  observed.close()


@pytest.mark.parametrize('num_tasks', [5, 6])
@pytest.mark.parametrize('are_trained', [False, True])
def test_only_such_tasks_widen_the_picture(num_tasks, are_trained, monkeypatch):
  figures = []

  def keep(figure, *_, **__):
    figures.append(figure)

  monkeypatch.setattr(figure_lib.Figure, 'savefig', keep)
  # Two copies of each.
  returns = np.random.default_rng(0).normal(size=(3, 2 * num_tasks))
  result = _evaluation(
    np.tile(np.arange(num_tasks), 2),
    returns,
    num_training_tasks=num_tasks * are_trained,
  )
  plot.write(result, 'Returns', 'unused.png')
  (figure,) = figures
  assert len(figure.axes) == 1 + (num_tasks == 6)
  first, *panel = figure.axes
  # The title is over both panels, or over the only one.
  assert first.get_title() == ('' if panel else 'Returns')
  labels = [text.get_text() for text in figure.legends[0].get_texts()]
  assert ('before adaptation' in labels) == bool(panel)
