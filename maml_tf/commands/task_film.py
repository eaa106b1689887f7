"""The film of a task before and after adaptation, as commands write it."""

import contextlib
from typing import Any
from typing import NamedTuple

import numpy as np
import tqdm

from maml_tf.adaptation import task_adaptation
from maml_tf.core import phrases
from maml_tf.core import random_streams
from maml_tf.core import terminal
from maml_tf.environments import task_environment
from maml_tf.run import trained_run
from maml_tf.video import adaptation_video
from maml_tf.video import video_file


class FilmSettings(NamedTuple):
  """How a film looks.

  Attributes:
    path: The file, a .gif or .mp4.
    width: Of one picture, in pixels.
    height: Of one picture, in pixels.
    fps: Frames, which are steps, per second.
    deterministic: Whether the policies act without noise.
    seed: Of resets and actions.
  """

  path: str
  width: int = 320
  height: int = 240
  fps: float = 20.0
  deterministic: bool = False
  seed: int = 0


def try_to_draw(
  environment: task_environment.TaskEnvironment,
  task: Any,
  settings: FilmSettings,
) -> None:
  """Draws how a task begins, so that errors come before the adaptation."""
  environment.set_tasks([task] * environment.num_tasks)
  environment.reset()
  states = np.array(environment.render_state())[:1]
  with contextlib.closing(
    environment.create_renderer(task, states, settings.width, settings.height)
  ) as renderer:
    renderer(states)


def write(
  run: trained_run.TrainedRun,
  environment: task_environment.TaskEnvironment,
  task: Any,
  adapted: task_adaptation.Adaptation,
  settings: FilmSettings,
) -> int:
  """Plays an episode before and one after, draws them and writes the film.

  The two episodes differ only in the policy.

  Returns:
    The number of frames.
  """
  num_steps = sum(step.taken for step in adapted.steps)
  titles = (
    'before adaptation',
    f'after {phrases.count(num_steps, "adaptation step")}',
  )
  episodes = _play(run, environment, task, adapted, settings)
  states = np.concatenate([episode.states for episode in episodes])
  with contextlib.closing(
    environment.create_renderer(task, states, settings.width, settings.height)
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
    video_file.write(settings.path, frames, settings.fps)
  return frames.total


def _play(
  run: trained_run.TrainedRun,
  environment: task_environment.TaskEnvironment,
  task: Any,
  adapted: task_adaptation.Adaptation,
  settings: FilmSettings,
) -> list[adaptation_video.Episode]:
  """Plays an episode before and one after, from one start, with one noise."""
  before = run.agent.policy.get_initial_state(None)
  after_all = len(adapted.steps) + 1
  return adaptation_video.play(
    environment,
    run.agent.adapted_policy(before, settings.deterministic),
    (before, adapted.parameters),
    task,
    tuple(
      random_streams.held_out_key(settings.seed, after_all, purpose)
      for purpose in (
        random_streams.Purpose.RESET,
        random_streams.Purpose.ACTION,
      )
    ),
  )
