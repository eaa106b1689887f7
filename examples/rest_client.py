"""Adapts a served policy to a hidden goal, with the standard library alone.

  python examples/serve_rest.py --model=runs/POINT_RUN/saved_model --port=8500
  python examples/rest_client.py --port=8500

The server's model comes from a run of point.gin. The client holds the goal and
the state of the policy. It plays 20 episodes, sends them to /adapt, and plays
20 more with the adapted state. With --requests=1000 it then measures the time
of a request.
"""

import argparse
import http.client
import json
import math
import sys
import time

EPISODES, HORIZON, MAX_STEP = 20, 100, 0.1
FIRST, MID, LAST = 0, 1, 2


class Model:
  """Calls the signatures of a served model on one connection."""

  def __init__(self, port):
    self._connection = http.client.HTTPConnection('127.0.0.1', port)

  def __call__(self, signature, **values):
    self._connection.request('POST', f'/{signature}', json.dumps(values))
    response = self._connection.getresponse()
    answer = json.loads(response.read())
    if response.status != 200:
      raise ValueError(answer['error'])
    return answer


def play(model, state, goal):
  """Plays an episode in each of 20 rows; returns the frames and mean return."""
  positions = [[0.0, 0.0] for _ in range(EPISODES)]
  frames, total = [], 0.0
  for t in range(HORIZON + 1):
    answer = model('act_adapted', observation=positions, **state)
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


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--port', type=int, default=8500)
  parser.add_argument('--goal', type=float, nargs=2, default=[0.4, -0.3])
  parser.add_argument('--requests', type=int, default=0)
  arguments = parser.parse_args()
  model = Model(arguments.port)
  try:
    state = model('initial_state', batch_size=1)
  except ConnectionRefusedError:
    sys.exit(
      f'rest_client: nothing listens on port {arguments.port}: start the server'
      ' first, python examples/serve_rest.py --model=runs/RUN/saved_model'
      f' --port={arguments.port}'
    )
  frames, before = play(model, state, arguments.goal)
  state = model('adapt', **frames, **state)
  _, after = play(model, state, arguments.goal)
  print(f'return {before:.1f} -> {after:.1f}')
  seconds = []
  for _ in range(arguments.requests):
    start = time.perf_counter()
    model('act_adapted', observation=[[0.1, 0.2]], **state)
    seconds.append(time.perf_counter() - start)
  if seconds:
    seconds.sort()
    p50, p99 = (seconds[int(len(seconds) * q)] * 1e3 for q in (0.5, 0.99))
    print(f'{len(seconds)} requests: p50 {p50:.1f} ms, p99 {p99:.1f} ms')


if __name__ == '__main__':
  main()
