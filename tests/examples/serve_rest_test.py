"""The example server in a process of its own: its answers and refusals."""

import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from maml_tf import serving
from tests import point_agent
from tests.learning import recorded_batches

EXAMPLES = pathlib.Path(__file__).parents[2] / 'examples'


@pytest.fixture(name='agent', scope='module')
def create_agent():
  return point_agent.create_agent()


@pytest.fixture(name='port', scope='module')
def start_server(agent, tmp_path_factory):
  directory = str(tmp_path_factory.mktemp('served') / 'model')
  serving.save_adaptive(agent, directory)
  log = open(tmp_path_factory.mktemp('log') / 'server.txt', 'w+')
  server = subprocess.Popen(
    [sys.executable, str(EXAMPLES / 'serve_rest.py')]
    + [f'--model={directory}', '--port=0'],
    # The server does not need the repository.
    env={'TF_CPP_MIN_LOG_LEVEL': '3', 'PATH': os.environ['PATH']},
    cwd='/',
    stdout=subprocess.PIPE,
    stderr=log,
    text=True,
  )
  try:
    address = re.fullmatch(
      r'http://127\.0\.0\.1:(\d+)\n', server.stdout.readline()
    )
    yield int(address[1])
    # The server survives everything that the tests send.
    assert server.poll() is None
    log.seek(0)
    assert 'Traceback' not in log.read()
  finally:
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=30)
    server.stdout.close()
    log.close()


def _request(port, method, path, body=None):
  """Returns the status and the answer, which is always JSON."""
  connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
  connection.request(method, path, body)
  response = connection.getresponse()
  answer = json.loads(response.read())
  connection.close()
  return response.status, answer


def _call(port, signature, **values):
  status, answer = _request(port, 'POST', f'/{signature}', json.dumps(values))
  assert status == 200, answer
  return answer


def test_a_round_trip_equals_the_agents_own(agent, port):
  state = _call(port, 'initial_state', batch_size=2)
  initial = agent.policy.get_initial_state(2)
  stage = recorded_batches.record(
    agent, recorded_batches.near(agent, 2, 0), seed=0
  )
  frames = stage._asdict() | {
    f'policy_info_0_{k}': t for k, t in stage.policy_info[0].items()
  }
  del frames['policy_info']
  frames = {name: t.numpy().tolist() for name, t in frames.items()}
  state = _call(port, 'adapt', **frames, **state)
  expected = agent.adapt(stage, initial)
  for number, parameter in enumerate(expected):
    np.testing.assert_allclose(
      state[f'state_{number}'], parameter, rtol=1e-6, atol=1e-6
    )
  observation = [[0.1, 0.2], [0.3, -0.1], [0.0, 0.0], [0.5, 0.5]]
  answer = _call(port, 'act_adapted', observation=observation, **state)
  time_step = tf.nest.map_structure(
    lambda spec: tf.zeros([4, *spec.shape], spec.dtype),
    agent.policy.time_step_spec,
  )._replace(observation=tf.constant(observation))
  mean = agent.policy.distribution(time_step, expected).action.mean()
  np.testing.assert_allclose(
    answer['deterministic_action'], mean, rtol=1e-6, atol=1e-6
  )


def test_signatures_are_listed(port):
  status, signatures = _request(port, 'GET', '/')
  assert status == 200
  assert signatures['serving_default'] == {
    'observation': ['float32', [None, 2]]
  }
  assert set(signatures) == {
    'initial_state',
    'serving_default',
    'act_adapted',
    'adapt',
  }


@pytest.mark.parametrize(
  'signature, body, reason',
  [
    ('serving_default', b'', 'Expecting value'),
    ('serving_default', b'{"observation": [[1, 2]', 'delimiter'),
    ('serving_default', b'"\xff"', 'decode'),
    ('serving_default', b'[[1, 2]]', 'give a JSON object of observation'),
    ('serving_default', b'{}', 'give a JSON object of observation'),
    (
      'serving_default',
      b'{"observation": [[1, 2]], "model": "/etc"}',
      'give a JSON object of observation',
    ),
    (
      'serving_default',
      b'{"observation": [[1, 2, 3]]}',
      r'observation has shape \[1, 3\]: give float32 of shape \[None, 2\]',
    ),
    ('serving_default', b'{"observation": [1, 2]}', r'has shape \[2\]'),
    ('serving_default', b'{"observation": []}', 'has shape'),
    ('serving_default', b'{"observation": [[1, 2], [3]]}', 'is ragged'),
    ('serving_default', b'{"observation": [["a", "b"]]}', 'not numbers'),
    ('serving_default', b'{"observation": [[true, false]]}', 'not numbers'),
    ('serving_default', b'{"observation": [[null, 1]]}', 'not numbers'),
    ('serving_default', b'{"observation": {"x": 1}}', 'not numbers'),
    ('serving_default', b'{"observation": [[NaN, 1]]}', 'out of range'),
    ('serving_default', b'{"observation": [[1e999, 1]]}', 'out of range'),
    ('serving_default', b'{"observation": [[1e39, 1]]}', 'out of range'),
    ('serving_default', b'{"observation": [[-Infinity, 1]]}', 'out of range'),
    (
      'serving_default',
      b'{"observation": [[1' + b'0' * 400 + b', 1]]}',
      'out of range',
    ),
    (
      'serving_default',
      b'{"observation": [[1' + b'0' * 5000 + b', 1]]}',
      'digits',
    ),
    # An array of text would take 64 GB for this.
    (
      'serving_default',
      b'{"observation": [["' + b'a' * 2**22 + b'"' + b', "b"' * 4000 + b']]}',
      'not numbers',
    ),
    (
      'serving_default',
      b'{"observation": [' + b'[], ' * 2**20 + b'[]]}',
      'more than 1048576 lists',
    ),
    (
      'serving_default',
      b'{' + b'"observation": 1, ' * 2**20 + b'"observation": 1}',
      'more than 1048576 lists',
    ),
    (
      'serving_default',
      b'{"observation": [' + b'[1,2], ' * 100_000 + b'[1,2]]}',
      'observation has 100001 rows: give at most 100000',
    ),
    (
      'serving_default',
      b'{"observation": [[1, 2]], "observation": [[3, 4]]}',
      'occurs twice',
    ),
    (
      'serving_default',
      b'{"observation": ' + b'[' * 100_000 + b']' * 100_000 + b'}',
      'recursion',
    ),
    ('initial_state', b'{"batch_size": 0}', 'give 1 to 256'),
    ('initial_state', b'{"batch_size": 1000000000}', 'give 1 to 256'),
    ('initial_state', b'{"batch_size": 1.5}', 'not numbers'),
  ],
)
def test_bad_payloads_are_refused_with_a_reason(signature, body, reason, port):
  status, answer = _request(port, 'POST', f'/{signature}', body)
  assert status == 400
  assert re.search(reason, answer['error']), answer
  assert '\n' not in answer['error']
  assert _call(port, 'serving_default', observation=[[1, 2]])


def test_sizes_that_do_not_fit_together_are_refused(port):
  state = _call(port, 'initial_state', batch_size=2)
  for changed, reason in (
    ({'observation': [[0, 0]] * 3}, 'not a multiple of the number of tasks'),
    ({'state_1': state['state_1'][:1]}, 'state_1 and state_0 have different'),
    ({'state_1': state['state_1'] * 129}, 'state_1 has 258 rows: give at most'),
  ):
    values = {'observation': [[0, 0]] * 4, **state} | changed
    status, answer = _request(port, 'POST', '/act_adapted', json.dumps(values))
    assert status == 400
    assert reason in answer['error']


@pytest.mark.parametrize(
  'method, path, status',
  [
    ('POST', '/shutdown', 404),
    ('POST', '/../../etc/passwd', 404),
    ('POST', '/%2e%2e/adapt', 404),
    ('POST', '/adapt%00', 404),
    ('POST', '/adapt;x', 404),
    ('POST', '/__class__', 404),
    ('GET', '/adapt', 405),
    ('PUT', '/adapt', 405),
    ('DELETE', '/', 405),
    ('POST', '/', 405),
    ('POST', 'http://elsewhere.example/adapt', 400),
  ],
)
def test_other_paths_and_methods(method, path, status, port):
  assert _request(port, method, path)[0] == status


def _raw(port, data, seconds=30):
  """Sends bytes and returns all answers until the server disconnects."""
  with socket.create_connection(('127.0.0.1', port), seconds) as connection:
    connection.sendall(data)
    answer = b''
    while part := connection.recv(2**16):
      answer += part
  return answer


def test_head_is_answered_without_a_body(port):
  answer = _raw(port, b'HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  assert answer.startswith(b'HTTP/1.1 200')
  assert answer.endswith(b'\r\n\r\n')


@pytest.mark.parametrize(
  'headers, status',
  [
    (b'Host: 127.0.0.1\r\n', 411),
    (b'Host: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n', 411),
    (
      b'Host: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n',
      411,
    ),
    (b'Host: 127.0.0.1\r\nContent-Length: many\r\n', 400),
    (b'Host: 127.0.0.1\r\nContent-Length: 0\r\n', 400),
    # A web page in a browser on this machine, whose name resolves to it.
    (b'Host: elsewhere.example\r\nContent-Length: 4\r\n', 400),
    (b'Host: 127.0.0.1\r\nA: ' + b'a' * 2**17 + b'\r\n', 431),
    (b'Host: 127.0.0.1\r\n' + b'A: a\r\n' * 1000, 431),
  ],
)
def test_other_headers(headers, status, port):
  body = b'0\r\n\r\n' if b'chunked' in headers else b''
  answer = _raw(port, b'POST /adapt HTTP/1.1\r\n' + headers + b'\r\n' + body)
  assert answer.split(b' ')[1] == str(status).encode()
  assert _call(port, 'serving_default', observation=[[1, 2]])


def test_the_server_survives_noise(port):
  for noise in (b'\x00\xff' * 1000 + b'\r\n\r\n', b'\r\n\r\n', b'GET\r\n\r\n'):
    assert b' 200 ' not in _raw(port, noise)
  assert _call(port, 'serving_default', observation=[[1, 2]])


@pytest.mark.slow
def test_clients_that_never_finish_are_disconnected(port):
  head = b'POST /adapt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n'
  start = time.monotonic()
  connections = []
  for begun in (b'', head, head + b'\r\n{') * 3:
    connection = socket.create_connection(('127.0.0.1', port), 60)
    connection.sendall(begun)
    connections.append((connection, begun))
  assert _call(port, 'serving_default', observation=[[1, 2]])
  for connection, begun in connections:
    answer = connection.recv(2**16)
    assert (
      b' 408 ' in answer if begun.endswith(b'{') else b' 200 ' not in answer
    )
    connection.close()
  assert 9 < time.monotonic() - start < 25


def test_a_body_that_is_too_large_is_refused_without_reading_it(port):
  connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
  connection.putrequest('POST', '/adapt')
  connection.putheader('Content-Length', str(10**9))
  connection.endheaders()
  assert connection.getresponse().status == 413
  connection.close()


def test_the_server_listens_only_on_this_machine(port):
  with open('/proc/net/tcp', encoding='utf-8') as file:
    local = [line.split()[1] for line in file.readlines()[1:]]
  listening = {a.split(':')[0] for a in local if a.endswith(f':{port:04X}')}
  assert listening == {'0100007F'}


def test_the_client_says_how_to_start_the_server():
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    done = subprocess.run(
      [sys.executable, str(EXAMPLES / 'rest_client.py')]
      + [f'--port={free.getsockname()[1]}'],
      capture_output=True,
      text=True,
      timeout=60,
    )
  assert done.returncode == 1
  (line,) = done.stderr.splitlines()
  assert 'start the server first, python examples/serve_rest.py' in line


def test_the_client_plays_and_measures_requests(port):
  done = subprocess.run(
    [sys.executable, str(EXAMPLES / 'rest_client.py')]
    + [f'--port={port}', '--requests=1000'],
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == 0, done.stderr
  assert re.fullmatch(
    r'return -\d+\.\d -> -\d+\.\d\n'
    r'1000 requests: p50 \d+\.\d ms, p99 \d+\.\d ms\n',
    done.stdout,
  )
