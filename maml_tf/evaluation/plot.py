"""The plot of an evaluation: returns against adaptation steps."""

from matplotlib import figure as figure_lib
from matplotlib import ticker

from maml_tf.environments import tasks as tasks_lib
from maml_tf.evaluation import evaluator as evaluation
from maml_tf.evaluation import statistics as evaluation_statistics
from maml_tf.evaluation import task_panel

_PERCENT = f'{evaluation_statistics.CONFIDENCE_LEVEL:.0%} interval'
_LABELS = {
  'trained': 'meta-learned',
  'initial': 'not meta-learned',
  'random': 'random actions',
  'pretrained': 'pretrained without adaptation',
  'oracle': 'oracle that sees the task',
}
_COLORS = {
  'trained': 'C0',
  'initial': 'C1',
  'random': 'black',
  'pretrained': 'C2',
  'oracle': 'C3',
}
# matplotlib's colours repeat after 10.
_MAX_NAMED_TASKS = 10
_LINE_STYLES = {
  'trained': '-',
  'initial': '--',
  'random': ':',
  'pretrained': '-.',
  'oracle': (0, (5, 1)),
}
# Their returns are lines across all steps.
_DO_NOT_ADAPT = ('random', 'oracle')


def write(result: evaluation.Evaluation, title: str, path: str) -> None:
  """Draws the mean of each policy with its interval, and a line per task.

  If none of the tasks is held out, each of them has a line of its own instead.
  A second panel shows tasks that are one number, see `task_panel`.

  Args:
    result: The evaluation.
    title: The plot's title.
    path: The PNG file to write.
  """
  values = task_panel.task_values(result.tasks)
  has_panel = values is not None
  figure = figure_lib.Figure(
    figsize=(12, 5.2) if has_panel else (7, 4.8), layout='constrained'
  )
  axes = figure.subplots(1, 2)[0] if has_panel else figure.subplots()
  if result.num_copies:
    _draw_by_task(axes, result)
  else:
    _draw_tasks(axes, result.policies[0].returns.mean(axis=2))
    for policy in result.policies:
      _draw_policy(axes, policy)
    if has_panel:
      _color_steps(axes, result.policies[0])
  num_episodes = result.policies[0].returns.shape[2]
  if has_panel:
    figure.suptitle(title)
    oracle_look = {
      'color': 'black' if result.num_copies else _COLORS['oracle'],
      'linestyle': _LINE_STYLES['oracle'],
      'linewidth': 1,
    }
    task_panel.draw(figure.axes[1], result, values, oracle_look)
  else:
    axes.set_title(title)
  axes.set_xlabel(f'adaptation steps, {num_episodes} episodes each')
  axes.set_ylabel('return, mean over episodes')
  axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
  axes.grid(alpha=0.3)
  figure.legend(
    loc='outside lower center', ncols=5 if has_panel else 3, frameon=False
  )
  figure.savefig(path, format='png', dpi=150)


def _draw_by_task(axes, result):
  """Draws a line for each policy and task: a colour per task.

  Many tasks have neither colours nor names of their own.
  """
  num_tasks = result.num_training_tasks
  are_named = num_tasks <= _MAX_NAMED_TASKS
  for policy in result.policies:
    style = _LINE_STYLES[policy.name]
    steps = evaluation_statistics.over_copies(policy.returns, num_tasks)
    for index, task in enumerate(zip(*steps)):
      means = [statistics.mean for statistics in task]
      look = {'color': f'C{index}' if are_named else 'C0', 'linestyle': style}
      label = None
      if policy.name == 'trained':
        if are_named:
          label = f'task {tasks_lib.name(result.tasks[index])}'
        elif not index:
          label = 'a task'
      if policy.name in _DO_NOT_ADAPT:
        axes.axhline(means[0], **look)
      else:
        axes.plot(means, marker='o', label=label, **look)
  for policy in result.policies:
    # Their styles are the same for all tasks.
    axes.plot(
      [],
      [],
      color='black',
      linestyle=_LINE_STYLES[policy.name],
      label=_LABELS[policy.name],
    )


def _draw_tasks(axes, task_returns):
  """Draws a thin line for each task from mean returns [S + 1, B]."""
  num_tasks = task_returns.shape[1]
  lines = axes.plot(
    task_returns,
    color=_COLORS['trained'],
    alpha=max(0.03, min(0.3, 10 / num_tasks)),
    linewidth=0.7,
  )
  lines[0].set_label('a task')


def _color_steps(axes, trained):
  """Gives the means of the trained policy the colours of the second panel."""
  for step, color in task_panel.step_colors(len(trained.returns) - 1).items():
    mean = trained.statistics[step].mean
    look = {'color': color, 'markeredgecolor': _COLORS['trained']}
    axes.plot(step, mean, marker='o', markersize=8, **look)


def _draw_policy(axes, policy):
  color, style = _COLORS[policy.name], _LINE_STYLES[policy.name]
  means = [s.mean for s in policy.statistics]
  label = _LABELS[policy.name]
  if policy.name in _DO_NOT_ADAPT:
    axes.axhline(means[0], color=color, linestyle=style, label=label)
    return
  axes.plot(
    means, color=color, linestyle=style, marker='o', linewidth=2, label=label
  )
  axes.fill_between(
    range(len(means)),
    [s.mean_low for s in policy.statistics],
    [s.mean_high for s in policy.statistics],
    color=color,
    alpha=0.25,
    linewidth=0,
    label=_PERCENT if policy.name == 'trained' else None,
  )
