"""The example server in a process of its own: its answers and refusals."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from maml_tf import serving
from tests import point_agent
from tests.learning import recorded_batches

EXAMPLES = pathlib.Path(__file__).parents[2] / 'examples'
PREDICT = '/v1/models/policy:predict'


@pytest.fixture(name='agent', scope='module')
def create_agent():
  return point_agent.create_agent()


@pytest.fixture(name='port', scope='module')
def start_server(agent, tmp_path_factory):
  directory = str(tmp_path_factory.mktemp('served') / 'model')
  serving.save_adaptive(agent, directory, version=3)
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


def _predict(port, signature, inputs, **others):
  """Returns the status and the answer to a request of this form."""
  body = {'signature_name': signature, 'inputs': inputs, **others}
  return _request(port, 'POST', PREDICT, json.dumps(body))


def _call(port, signature, **inputs):
  status, answer = _predict(port, signature, inputs)
  assert status == 200, answer
  return answer['outputs']


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
  # The same, where the server keeps the states.
  status, first = _predict(
    port, 'initial_state', {'batch_size': 2}, keep_state=True
  )
  assert status == 200 and list(first['outputs']) == ['state_id']
  status, second = _predict(
    port, 'adapt', {**frames, **first['outputs']}, keep_state=True
  )
  assert status == 200 and second != first
  kept = _call(
    port, 'act_adapted', observation=observation, **second['outputs']
  )
  assert kept['deterministic_action'] == answer['deterministic_action']


def test_the_status_and_the_signatures_of_the_model(port):
  for path in ('/v1/models/policy', '/v1/models/policy/versions/3'):
    status, answer = _request(port, 'GET', path)
    assert status == 200
    (version,) = answer['model_version_status']
    assert (version['version'], version['state']) == ('3', 'AVAILABLE')
    status, answer = _request(port, 'GET', path + '/metadata')
    assert status == 200
    assert answer['model_spec'] == {'name': 'policy', 'version': '3'}
    signatures = answer['metadata']['signature_def']['signature_def']
    assert {
      'initial_state',
      'serving_default',
      'act_adapted',
      'adapt',
    } <= set(signatures)
    assert signatures['serving_default']['inputs']['observation'] == {
      'name': 'serving_default_observation:0',
      'dtype': 'DT_FLOAT',
      'tensor_shape': {'dim': [{'size': '-1'}, {'size': '2'}]},
    }


@pytest.mark.parametrize(
  'body', [{'inputs': {'observation': [[1, 2]]}}, {'inputs': [[1, 2]]}]
)
def test_a_single_input_and_the_default_signature_need_no_name(body, port):
  path = '/v1/models/policy/versions/3:predict'
  status, answer = _request(port, 'POST', path, json.dumps(body))
  assert status == 200
  expected = _call(port, 'serving_default', observation=[[1, 2]])
  name = 'deterministic_action'
  assert answer['outputs'][name] == expected[name]


def _inputs(values, signature=b'serving_default'):
  return b'{"signature_name": "%s", "inputs": %s}' % (signature, values)


def _observation(values):
  return _inputs(b'{"observation": %s}' % values)


BAD_BODIES = [
  (b'', 'Expecting value'),
  (_inputs(b'{"observation": [[1, 2]'), 'delimiter'),
  (b'"\xff"', 'decode'),
  (b'[[1, 2]]', 'give a JSON object'),
  (b'{}', 'give a JSON object of signature_name, inputs'),
  (b'{"instances": [[1, 2]]}', 'give a JSON object of signature_name, inputs'),
  (_inputs(b'[[1, 2]]')[:-1] + b', "model": 1}', 'give a JSON object of sig'),
  (_inputs(b'[[1, 2]]')[:-1] + b', "keep_state": 1}', 'not true or false'),
  (_inputs(b'[[1, 2]]', b'__class__'), 'no such signature_name: give act_ad'),
  (b'{"signature_name": [], "inputs": [[1, 2]]}', 'no such signature_name'),
  (_inputs(b'[[1, 2]]', b'adapt'), 'give inputs: an object of action'),
  (_inputs(b'{}'), 'give inputs: an object of observation'),
  (
    _inputs(b'{"observation": [[1, 2]], "model": "/etc"}'),
    'give inputs: an object of observation',
  ),
  (
    _observation(b'[[1, 2, 3]]'),
    r'observation has shape \[1, 3\]: give float32 of shape \[None, 2\]',
  ),
  (_observation(b'[1, 2]'), r'has shape \[2\]'),
  (_observation(b'[]'), 'has shape'),
  (_observation(b'[[1, 2], [3]]'), 'is ragged'),
  (_observation(b'[["a", "b"]]'), 'not numbers'),
  (_observation(b'[[true, false]]'), 'not numbers'),
  (_observation(b'[[null, 1]]'), 'not numbers'),
  (_observation(b'{"x": 1}'), 'not numbers'),
  (_observation(b'[[NaN, 1]]'), 'out of range'),
  (_observation(b'[[1e999, 1]]'), 'out of range'),
  (_observation(b'[[1e39, 1]]'), 'out of range'),
  (_observation(b'[[-Infinity, 1]]'), 'out of range'),
  (_observation(b'[[1' + b'0' * 400 + b', 1]]'), 'out of range'),
  (_observation(b'[[1' + b'0' * 5000 + b', 1]]'), 'digits'),
  # An array of text would take 64 GB for this.
  (
    _observation(b'[["' + b'a' * 2**22 + b'"' + b', "b"' * 4000 + b']]'),
    'not numbers',
  ),
  (_observation(b'[' + b'[], ' * 2**20 + b'[]]'), 'more than 1048576 lists'),
  (
    _inputs(b'{' + b'"observation": 1, ' * 2**20 + b'"observation": 1}'),
    'more than 1048576 lists',
  ),
  (
    _observation(b'[' + b'[1,2], ' * 100_000 + b'[1,2]]'),
    'observation has 100001 rows: give at most 100000',
  ),
  (
    _inputs(b'{"observation": [[1, 2]], "observation": [[3, 4]]}'),
    'occurs twice',
  ),
  (_observation(b'[' * 100_000 + b']' * 100_000), 'recursion'),
  (_inputs(b'{"batch_size": 0}', b'initial_state'), 'give 1 to 256'),
  (_inputs(b'1000000000', b'initial_state'), 'give 1 to 256'),
  (_inputs(b'1.5', b'initial_state'), 'not numbers'),
]


@pytest.mark.parametrize('body, reason', BAD_BODIES)
def test_bad_payloads_are_refused_with_a_reason(body, reason, port):
  status, answer = _request(port, 'POST', PREDICT, body)
  assert status == 400
  assert re.search(reason, answer['error']), answer
  assert '\n' not in answer['error']
  assert _call(port, 'serving_default', observation=[[1, 2]])


@pytest.mark.parametrize('state_id', ['gone', '', 'a' * 10**6, 7, [], {}, None])
def test_a_state_that_is_not_there_is_a_404(state_id, port):
  inputs = {'observation': [[0, 0]], 'state_id': state_id}
  status, answer = _predict(port, 'act_adapted', inputs)
  assert status == 404
  assert answer == {'error': 'no such state_id: adapt again'}


def test_sizes_that_do_not_fit_together_are_refused(port):
  state = _call(port, 'initial_state', batch_size=2)
  _, kept = _predict(port, 'initial_state', {'batch_size': 2}, keep_state=True)
  for changed, reason in (
    ({'observation': [[0, 0]] * 3}, 'not a multiple of the number of tasks'),
    ({'state_1': state['state_1'][:1]}, 'state_1 and state_0 have different'),
    ({'state_1': state['state_1'] * 129}, 'state_1 has 258 rows: give at most'),
    # Either the id or the state.
    (kept['outputs'], 'give inputs: an object of observation'),
  ):
    values = {'observation': [[0, 0]] * 4, **state} | changed
    status, answer = _predict(port, 'act_adapted', values)
    assert status == 400
    assert reason in answer['error']
  values = {'observation': [[0, 0]] * 3, **kept['outputs']}
  status, answer = _predict(port, 'act_adapted', values)
  assert status == 400 and 'not a multiple' in answer['error']
  values = {'observation': [[0, 0]], **kept['outputs']}
  status, answer = _predict(port, 'serving_default', values)
  assert status == 400 and 'takes no state_id' in answer['error']


@pytest.mark.parametrize(
  'method, path, status',
  [
    ('GET', '/', 404),
    ('POST', '/shutdown', 404),
    ('POST', '/../../etc/passwd', 404),
    ('POST', '/v1/models/%2e%2e/policy:predict', 404),
    ('POST', '/v1/models/other:predict', 404),
    ('POST', '/v1/models/policy/versions/2:predict', 404),
    ('POST', '/v1/models/policy/versions/' + '3' * 5000 + ':predict', 400),
    ('POST', '/v1/models/policy:classify', 404),
    ('POST', PREDICT + '%00', 404),
    ('POST', PREDICT + ';x', 404),
    ('GET', PREDICT, 405),
    ('PUT', PREDICT, 405),
    ('DELETE', '/v1/models/policy', 405),
    ('POST', '/v1/models/policy', 405),
    ('POST', '/v1/models/policy/metadata', 405),
  ],
)
def test_other_paths_and_methods(method, path, status, port):
  answer = _request(port, method, path)
  assert answer[0] == status
  assert list(answer[1]) == ['error']


def _raw(port, data, seconds=30):
  """Sends bytes and returns all answers until the server disconnects."""
  answer = b''
  with socket.create_connection(('127.0.0.1', port), seconds) as connection:
    # A server that has not read everything disconnects by a reset.
    with contextlib.suppress(ConnectionError):
      connection.sendall(data)
      while part := connection.recv(2**16):
        answer += part
  return answer


def test_head_is_answered_without_a_body(port):
  answer = _raw(
    port,
    b'HEAD /v1/models/policy HTTP/1.1\r\nHost: localhost\r\n'
    b'Connection: close\r\n\r\n',
  )
  assert answer.startswith(b'HTTP/1.1 200')
  assert answer.endswith(b'\r\n\r\n')


def _post(headers, body=b''):
  start = b'POST ' + PREDICT.encode() + b' HTTP/1.1\r\nConnection: close\r\n'
  return start + headers + b'\r\n' + body


@pytest.mark.parametrize(
  'headers, status',
  [
    (b'Host: 127.0.0.1\r\n', 400),
    (b'Host: 127.0.0.1\r\nTransfer-Encoding: gzip\r\n', 501),
    (b'Host: 127.0.0.1\r\nContent-Length: many\r\n', 400),
    (b'Host: 127.0.0.1\r\nContent-Length: 1000000000\r\n', 413),
    # A web page in a browser on this machine, whose name resolves to it.
    (b'Host: elsewhere.example\r\nContent-Length: 0\r\n', 400),
    (b'Content-Length: 0\r\n', 400),
    (b'Host: 127.0.0.1\r\nA: ' + b'a' * 2**18 + b'\r\n', 431),
    (b'Host: 127.0.0.1\r\n' + b'A\r\n' * 1000, 400),
  ],
)
def test_other_headers(headers, status, port):
  answer = _raw(port, _post(headers))
  head, body = answer.split(b'\r\n\r\n')
  assert head.split(b' ')[1] == str(status).encode()
  assert list(json.loads(body)) == ['error'] and b'\n' not in body
  assert _call(port, 'serving_default', observation=[[1, 2]])


def test_a_body_may_come_in_chunks(port):
  body = _inputs(b'[[1, 2]]')
  chunk = b'%x\r\n%s\r\n' % (len(body), body)
  headers = b'Host: localhost\r\nTransfer-Encoding: chunked\r\n'
  answer = _raw(port, _post(headers, chunk + b'0\r\n\r\n'))
  assert answer.startswith(b'HTTP/1.1 200')


def test_the_server_survives_noise(port):
  for noise in (b'\x00\xff' * 1000 + b'\r\n\r\n', b'GET\r\n\r\n'):
    assert b' 200 ' not in _raw(port, noise)
  assert _call(port, 'serving_default', observation=[[1, 2]])


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
    + [f'--port={port}', '--requests=100'],
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert done.returncode == 0, done.stderr
  found = re.fullmatch(
    r'return -\d+\.\d -> -\d+\.\d\n'
    r'100 requests with the state: (\d+) bytes, p50 \d+\.\d ms, p99 \S+ ms\n'
    r'100 requests with an id: (\d+) bytes, p50 \d+\.\d ms, p99 \S+ ms\n',
    done.stdout,
  )
  assert int(found[2]) < 500 < int(found[1])
