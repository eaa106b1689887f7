"""A video of one task, played before and after adaptation, side by side."""

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont
import tensorflow as tf

from maml_tf.collection import adapted_policy
from maml_tf.collection import compiled_actor
from maml_tf.collection import rollout
from maml_tf.core import random_streams
from maml_tf.environments import task_environment
from maml_tf.environments.rendering import renderer as renderer_lib
from maml_tf.learning import inner_loop as inner_loop_lib

_GAP_PIXELS = 4
_TEXT = (0, 0, 0)
_PAPER = (255, 255, 255)
_GAP = (160, 160, 160)


class Episode(NamedTuple):
  """One episode as it is shown.

  Attributes:
    states: The environment's `picture_states` before the first step and after
      each, an array [length + 1, S].
    returns: A float64 array [length + 1]: the return so far.
    successes: A bool array [length + 1]: whether there was a success so far;
      None if the environment has no successes.
  """

  states: np.ndarray
  returns: np.ndarray
  successes: np.ndarray | None = None


def play(
  environment: task_environment.TaskEnvironment,
  policy: adapted_policy.AdaptedPolicy,
  parameters: Sequence[inner_loop_lib.Parameters],
  task: Any,
  stream_keys: tuple[tuple[int, ...], tuple[int, ...]],
) -> list[Episode]:
  """Plays one task with several parameters, all from one start and noise.

  Args:
    environment: Has one task for each of the parameters, one environment each.
    policy: Acts with the parameters that it is given.
    parameters: Each without the leading B.
    task: The task.
    stream_keys: The random streams of resets and of actions.

  Returns:
    An `Episode` for each of the parameters.

  Raises:
    errors.UsageError: The environment cannot be drawn.
  """
  num_rows = len(parameters)
  environment.set_tasks([task] * num_rows)
  environment.seed([stream_keys[0]] * num_rows)
  generator = random_streams.generator(stream_keys[1])

  def draw_noise(t):
    del t
    noise = policy.distributions.draw_noise(generator, (1,))
    return tuple(np.repeat(n, num_rows, axis=0) for n in noise)

  policy_state = tuple(tf.stack(p) for p in zip(*parameters))
  actor = compiled_actor.CompiledActor(policy).for_episode(
    policy_state, draw_noise
  )
  states, played, successes = [], [], []

  def see_and_act(time_step, t):
    states.append(np.array(environment.render_state()))
    return actor(time_step, t)

  def note_success(frame):
    del frame
    if environment.success is not None:
      successes.append(environment.success.copy())

  rollout.play_episodes(
    environment,
    see_and_act,
    [played.append, note_success],
    environment.horizon,
  )
  states.append(np.array(environment.render_state()))
  return _episodes(states, played, successes)


def _episodes(states, played, successes):
  """Cuts every row's `Episode` from states, frames and successes [N, ...]."""
  *transitions, _ = played
  lengths = np.sum([~frame.is_boundary() for frame in transitions], axis=0)
  rewards = [frame.reward.astype(np.float64) for frame in transitions]
  rewards = [np.zeros(len(lengths)), *rewards]
  states, returns = np.stack(states, 1), np.cumsum(rewards, axis=0).T
  if successes:
    # There is none before the first step.
    successes = [np.zeros(len(lengths), bool), *successes[:-1]]
    successes = np.logical_or.accumulate(successes).T
  return [
    Episode(
      states[row, : length + 1],
      returns[row, : length + 1],
      successes[row, : length + 1] if len(successes) else None,
    )
    for row, length in enumerate(lengths)
  ]


def frames(
  renderer: renderer_lib.Renderer,
  episodes: Sequence[Episode],
  titles: Sequence[str],
  task: str,
) -> Iterator[np.ndarray]:
  """Draws episodes side by side; those that are done stand still.

  Above each there are its title, the task, the step with the sum of rewards so
  far, and the renderer's line, if it has any.

  Args:
    renderer: Renders one episode.
    episodes: From left to right.
    titles: One for each.
    task: How the task is called.

  Yields:
    uint8 arrays [H, W, 3] with even H and W, one for each state of the longest
    episode.
  """
  # A renderer that is not a `Renderer` may lack it.
  caption = getattr(renderer, 'caption', lambda states: '')
  # All frames have as many lines, and so the same size.
  has_line = bool(caption(episodes[0].states[:1]))
  for t in range(max(len(episode.returns) for episode in episodes)):
    halves = []
    for episode, title in zip(episodes, titles):
      last = min(t, len(episode.returns) - 1)
      states = episode.states[: last + 1]
      line = f'step {last}, return so far {episode.returns[last]:.1f}'
      if episode.successes is not None and episode.successes[last]:
        line += ', success'
      lines = [title, task, line]
      if has_line:
        lines.append(caption(states))
      halves.append(_with_caption(renderer(states), lines))
    gap = np.full((len(halves[0]), _GAP_PIXELS, 3), _GAP, np.uint8)
    row = [part for half in halves for part in (gap, half)][1:]
    frame = np.concatenate(row, axis=1)
    # Video codecs need even sizes.
    odd = [(0, size % 2) for size in frame.shape[:2]]
    yield np.pad(frame, [*odd, (0, 0)], constant_values=255)


def _with_caption(picture, lines):
  """Puts lines of text above a picture."""
  width = picture.shape[1]
  size = int(np.clip(width / 20, 9, 24))
  height = size * (5 * len(lines) + 1) // 4
  strip = Image.new('RGB', (width, height), _PAPER)
  ImageDraw.Draw(strip).multiline_text(
    (size // 2, size // 4),
    '\n'.join(lines),
    _TEXT,
    ImageFont.load_default(size),
    spacing=size // 4,
  )
  return np.concatenate([np.asarray(strip), picture])
