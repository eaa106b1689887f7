"""Adapts a served policy to a hidden goal, with the standard library alone.

  python examples/serve_rest.py --model=models/point
  python examples/rest_client.py

The server's model comes from a run of point.gin. The client plays 20 episodes,
sends them to adapt, and plays 20 more with the adapted state. It speaks
TensorFlow Serving's REST form, so TensorFlow Serving may be the server. It asks
the server to keep the state and to return an id in its place; a server that
cannot do this returns the state itself. With --requests=1000 it then measures
requests with the state, and with its id.
"""

import argparse
import http.client
import json
import math
import sys
import time

EPISODES, HORIZON, MAX_STEP = 20, 100, 0.1
FIRST, MID, LAST = 0, 1, 2


class StateGone(Exception):
  """The server no longer has the state of an id."""


class Model:
  """Calls the signatures of a served model on one connection.

  Attributes:
    num_bytes: The size of the last request and its answer [bytes].
  """

  def __init__(self, host, port, name):
    self.num_bytes = 0
    self._connection = http.client.HTTPConnection(host, port)
    self._path = f'/v1/models/{name}:predict'

  def __call__(self, signature, keep_state=False, **inputs):
    request = {'signature_name': signature, 'inputs': inputs}
    if keep_state:
      request['keep_state'] = True  # TensorFlow Serving overlooks it.
    body = json.dumps(request)
    self._connection.request('POST', self._path, body)
    response = self._connection.getresponse()
    content = response.read()
    self.num_bytes = len(body) + len(content)
    answer = json.loads(content)
    if response.status == 404 and 'state_id' in inputs:
      raise StateGone(answer['error'])
    if response.status != 200:
      sys.exit(f'rest_client: {answer["error"]}')
    return answer['outputs']


def play(act, goal):
  """Plays an episode in each of 20 rows; returns the frames and mean return."""
  positions = [[0.0, 0.0] for _ in range(EPISODES)]
  frames, total = [], 0.0
  for t in range(HORIZON + 1):
    answer = act(positions)
    del answer['deterministic_action']
    frame = {'observation': positions, **answer}
    is_last = t == HORIZON
    if not is_last:
      positions = [
        [p + max(-MAX_STEP, min(MAX_STEP, a)) for p, a in zip(*row)]
        for row in zip(positions, answer['action'])
      ]
    reward = [0.0 if is_last else -math.dist(p, goal) for p in positions]
    total += sum(reward)
    ends = t >= HORIZON - 1
    frame |= {
      'reward': reward,
      'step_type': [LAST if is_last else MID if t else FIRST] * EPISODES,
      'next_step_type': [LAST if ends else MID] * EPISODES,
      'discount': [1.0] * EPISODES,
    }
    frames.append(frame)
  # Frames are [time][row] so far. The signature takes [row][time].
  by_name = {n: list(zip(*(f[n] for f in frames))) for n in frames[0]}
  return by_name, total / EPISODES


class Policy:
  """A policy for one task, which adapts again if the server lost its state."""

  def __init__(self, model, keep_state):
    self._model = model
    self._keep_state = keep_state
    self._frames = None
    self._restore()

  @property
  def has_id(self):
    """Whether the server keeps the state."""
    return 'state_id' in self._state

  def adapt(self, frames):
    """Adapts the first state with frames."""
    self._frames = frames
    self._restore()

  def act(self, observation):
    """Returns the outputs of act_adapted."""
    try:
      return self._model('act_adapted', observation=observation, **self._state)
    except StateGone:
      self._restore()
      return self._model('act_adapted', observation=observation, **self._state)

  def _restore(self):
    keep_first = self._keep_state and self._frames is None
    state = self._model('initial_state', keep_first, batch_size=1)
    if self._frames is not None:
      state = self._model('adapt', self._keep_state, **self._frames, **state)
    self._state = state


def measure(model, policy, requests):
  """Prints the bytes and the time of requests."""
  seconds = []
  for _ in range(requests):
    start = time.perf_counter()
    policy.act([[0.1, 0.2]])
    seconds.append(time.perf_counter() - start)
  seconds.sort()
  p50, p99 = (seconds[int(requests * q)] * 1e3 for q in (0.5, 0.99))
  print(
    f'{requests} requests with {"an id" if policy.has_id else "the state"}:'
    f' {model.num_bytes} bytes, p50 {p50:.1f} ms, p99 {p99:.1f} ms'
  )


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--host', default='127.0.0.1')
  parser.add_argument('--port', type=int, default=8501)
  parser.add_argument('--name', default='policy', help="the model's name")
  parser.add_argument('--goal', type=float, nargs=2, default=[0.4, -0.3])
  parser.add_argument('--requests', type=int, default=0)
  arguments = parser.parse_args()
  model = Model(arguments.host, arguments.port, arguments.name)
  try:
    policy = Policy(model, keep_state=True)
  except ConnectionRefusedError:
    sys.exit(
      f'rest_client: nothing listens on port {arguments.port}: start the server'
      ' first, python examples/serve_rest.py --model=runs/RUN/saved_model'
      f' --port={arguments.port}'
    )
  frames, before = play(policy.act, arguments.goal)
  policy.adapt(frames)
  _, after = play(policy.act, arguments.goal)
  print(f'return {before:.1f} -> {after:.1f}')
  if arguments.requests:
    without = Policy(model, keep_state=False)
    without.adapt(frames)
    for measured in (without, policy) if policy.has_id else (without,):
      measure(model, measured, arguments.requests)


if __name__ == '__main__':
  main()
