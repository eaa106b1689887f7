"""Films a task before and after, as the flags of `maml_tf.render` say."""

import contextlib
import os
import re
from typing import Any

from absl import flags
import numpy as np
import tqdm

from maml_tf.adaptation import task_adaptation
from maml_tf.core import checks
from maml_tf.core import cpu
from maml_tf.core import errors
from maml_tf.core import finite_checks
from maml_tf.core import random_streams
from maml_tf.core import terminal
from maml_tf.environments import task_environment
from maml_tf.environments import tasks as tasks_lib
from maml_tf.run import tensorboard_summaries
from maml_tf.run import trained_run
from maml_tf.video import adaptation_video
from maml_tf.video import video_file

_FLAGS = flags.FLAGS
# Twice the side of the largest screens, for two pictures side by side.
_MAX_SIDE = 8192


def main(argv):
  """Films, and returns the exit code.

  0: done. 1: the task fails. 2: bad input. 130: stopped.
  """
  del argv  # Its flags are parsed.
  if not _FLAGS.root_dir:
    return terminal.print_error(
      'render', '--root_dir is missing: give the folder of a training run'
    )
  cpu.one_thread_an_operation()
  path = _FLAGS.out
  if path is None:
    path = os.path.join(_FLAGS.root_dir, 'adaptation.gif')
  try:
    with errors.usage_errors():
      _check(path)
    run = trained_run.load_for_process(_FLAGS.root_dir)
    with errors.usage_errors():
      _render(run, path)
  except errors.UsageError as error:
    return terminal.print_error('render', error, debug=_FLAGS.debug)
  except (errors.RunError, finite_checks.NonFiniteError) as error:
    return terminal.print_error('render', error, 1, _FLAGS.debug)
  except KeyboardInterrupt:
    return terminal.print_error('render', 'stopped, nothing is written', 130)
  return 0


def _check(path: str) -> None:
  """Raises ValueError for flags that are wrong in every run."""
  # Without --out, `trained_run.load` says what is wrong with the folder.
  if _FLAGS.out is not None or os.path.isdir(_FLAGS.root_dir):
    video_file.check(path, _FLAGS.fps)
  for name in ('width', 'height'):
    checks.integer(name, _FLAGS[name].value, 16, _MAX_SIDE)
  checks.integer('seed', _FLAGS.seed, 0)
  if _FLAGS.num_adaptation_steps is not None:
    checks.integer(
      'num_adaptation_steps',
      _FLAGS.num_adaptation_steps,
      0,
      checks.MAX_ADAPTATION_STEPS,
    )
  if _FLAGS.episodes is not None:
    checks.integer('episodes', _FLAGS.episodes, 1)


def _render(run: trained_run.TrainedRun, path: str) -> None:
  """Adapts, plays, draws."""
  with contextlib.closing(run.create_environment(2, 1)) as environment:
    environment.prepare_rendering()
    task = _task(run)
    _try_to_draw(environment, task)
    name = f'task {tasks_lib.name(task)}'
    adapted = _adapt(run, task, name)
    num_steps = sum(step.taken for step in adapted.steps)
    titles = (
      'before adaptation',
      f'after {num_steps} adaptation step{"s" * (num_steps != 1)}',
    )
    episodes = _play(run, environment, task, adapted)
    states = np.concatenate([episode.states for episode in episodes])
    with contextlib.closing(
      environment.create_renderer(task, states, _FLAGS.width, _FLAGS.height)
    ) as renderer:
      frames = tqdm.tqdm(
        adaptation_video.frames(
          renderer, episodes, titles, environment.describe_task(task)
        ),
        total=max(len(episode.returns) for episode in episodes),
        unit='frame',
        disable=not terminal.stderr().isatty(),
        **terminal.bar_settings(terminal.stderr()),
      )
      video_file.write(path, frames, _FLAGS.fps)
  terminal.log(f'render: wrote {frames.total} frames to {path}')
  _show_in_tensorboard(run, path)


def _show_in_tensorboard(run: trained_run.TrainedRun, path: str) -> None:
  """Writes a gif in the folder of a run with events to TensorBoard, too."""
  root_dir = _FLAGS.root_dir
  is_in_run = os.path.realpath(os.path.dirname(path) or '.') == (
    os.path.realpath(root_dir)
  )
  if not (is_in_run and path.lower().endswith('.gif')):
    return
  if tensorboard_summaries.has_events(root_dir):
    tensorboard_summaries.write_film(root_dir, path, run.iteration)


def _try_to_draw(
  environment: task_environment.TaskEnvironment, task: Any
) -> None:
  """Draws how a task begins, so that errors come before the adaptation."""
  environment.set_tasks([task] * environment.num_tasks)
  environment.reset()
  states = np.array(environment.render_state())[:1]
  with contextlib.closing(
    environment.create_renderer(task, states, _FLAGS.width, _FLAGS.height)
  ) as renderer:
    renderer(states)


def _adapt(
  run: trained_run.TrainedRun, task: Any, name: str
) -> task_adaptation.Adaptation:
  """Adapts to the task and logs the returns."""
  num_episodes = _FLAGS.episodes
  if num_episodes is None:
    num_episodes = run.episodes_per_task
  with contextlib.closing(
    run.create_environment(1, num_episodes)
  ) as environment:
    environment.set_tasks([task])
    adapted = task_adaptation.adapt(
      run.agent,
      environment,
      _FLAGS.num_adaptation_steps,
      num_episodes,
      seed=_FLAGS.seed,
    )
  for number, step in enumerate(adapted.steps, 1):
    if not step.taken:
      terminal.log(f'render: step {number} was not taken: {step.reason}')
  means = ' -> '.join(f'{value:.1f}' for value in adapted.returns.mean(axis=1))
  terminal.log(
    f'render: {name}: return {means}, mean of {num_episodes} episodes'
  )
  return adapted


def _play(
  run: trained_run.TrainedRun,
  environment: task_environment.TaskEnvironment,
  task: Any,
  adapted: task_adaptation.Adaptation,
) -> list[adaptation_video.Episode]:
  """Plays an episode before and one after, which differ only in the policy."""
  before = run.agent.policy.get_initial_state(None)
  after_all = len(adapted.steps) + 1
  return adaptation_video.play(
    environment,
    run.agent.adapted_policy(before, _FLAGS.deterministic),
    (before, adapted.parameters),
    task,
    tuple(
      random_streams.held_out_key(_FLAGS.seed, after_all, purpose)
      for purpose in (
        random_streams.Purpose.RESET,
        random_streams.Purpose.ACTION,
      )
    ),
  )


def _task(run: trained_run.TrainedRun) -> Any:
  """Returns the task of --task, or the first one of an evaluation."""
  with contextlib.closing(run.create_environment(1, 1)) as environment:
    if _FLAGS.task is None:
      return _evaluated_task(environment, 0)
    match = re.fullmatch(r'(?:(train|held_out):)?([0-9]+)', _FLAGS.task)
    if match and match[1]:
      return _listed_task(environment, match[1], int(match[2]))
    if tasks_lib.to_numbers(environment.tasks[0]) is not None:
      task = _numbers(np.shape(environment.tasks[0]))
      environment.set_tasks([task])
      return task
    if not match:
      raise ValueError(
        f'--task is {_FLAGS.task!r}: give an index, e.g. 0 or train:0, since'
        ' tasks are not numbers'
      )
    if environment.task_list is not None:
      kind = 'held_out' if len(environment.task_list.held_out) else 'train'
      return _listed_task(environment, kind, int(match[2]))
    return _evaluated_task(environment, int(match[2]))


def _evaluated_task(
  environment: task_environment.TaskEnvironment, index: int
) -> Any:
  """Returns the task that an evaluation of this seed plays at a place."""
  key = random_streams.key(
    _FLAGS.seed,
    random_streams.HELD_OUT,
    0,
    index,
    random_streams.Purpose.TASK,
  )
  return environment.held_out_task(index, random_streams.generator(key))


def _listed_task(
  environment: task_environment.TaskEnvironment, kind: str, index: int
) -> Any:
  """Returns a task of the family's finite list."""
  if environment.task_list is None:
    raise ValueError(
      f'--task is {_FLAGS.task!r}, but {type(environment).__name__} has no'
      ' finite list of tasks'
    )
  lists = environment.task_list
  tasks = lists.training if kind == 'train' else lists.held_out
  if index >= len(tasks):
    raise ValueError(
      f'--task is {_FLAGS.task!r}, but there are {len(lists.training)} tasks to'
      f' train on and {len(lists.held_out)} held out: count from 0'
    )
  return tasks[index]


def _numbers(shape: tuple[int, ...]) -> np.ndarray:
  """Returns the numbers of --task."""
  try:
    return np.reshape([float(word) for word in _FLAGS.task.split(',')], shape)
  except ValueError:
    raise ValueError(
      f'--task is {_FLAGS.task!r}: give {int(np.prod(shape))} numbers with'
      ' commas between them'
    ) from None
