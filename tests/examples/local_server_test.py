"""The example's server limits the number of clients, their time and bytes."""

import contextlib
import functools
import importlib
import json
import pathlib
import socket
import threading
import time

import pytest
import tensorflow as tf
from werkzeug import test
from werkzeug import wrappers

EXAMPLES = pathlib.Path(__file__).parents[2] / 'examples'
REQUEST = b'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'
BEGUN = b'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n'


@pytest.fixture(autouse=True)
def find_examples(monkeypatch):
  monkeypatch.syspath_prepend(EXAMPLES)


@contextlib.contextmanager
def _serving(app, **limits):
  """Yields a function that connects to a server of an application."""
  server = importlib.import_module('local_server').create(app, 0, **limits)
  thread = threading.Thread(target=server.run, daemon=True)
  thread.start()
  address = ('127.0.0.1', int(server.effective_port))
  try:
    yield functools.partial(socket.create_connection, address, 30)
  finally:
    server.trigger.pull_trigger(server.close)


@wrappers.Request.application
def _length(request):
  return wrappers.Response(f'{len(request.get_data())} bytes')


def _is_closed(connection):
  """Waits until the server has disconnected."""
  with contextlib.suppress(ConnectionError):
    while connection.recv(2**16):
      pass
  return True


def test_silent_and_slow_clients_are_disconnected_after_the_limit():
  with _serving(_length, seconds=1) as connect:
    start = time.monotonic()
    with connect() as silent, connect() as half, connect() as dripping:
      half.sendall(REQUEST[:-4])
      dripping.sendall(BEGUN)
      with contextlib.suppress(ConnectionError):
        while time.monotonic() - start < 10:
          dripping.sendall(b'a')
          # A body takes no thread until it is complete.
          with connect() as other:
            other.sendall(REQUEST)
            assert other.recv(12) == b'HTTP/1.1 200'
          time.sleep(0.1)
      assert 1 < time.monotonic() - start < 6
      assert _is_closed(silent) and _is_closed(half)


def test_a_client_may_take_its_time_between_requests():
  with _serving(_length, seconds=2) as connect, connect() as client:
    for _ in range(3):
      time.sleep(0.9)
      client.sendall(BEGUN + b'a' * 50)
      time.sleep(0.2)
      client.sendall(b'a' * 49)
      answer = b''
      while not answer.endswith(b'99 bytes'):
        part = client.recv(2**16)
        assert part, 'disconnected'
        answer += part


def test_answers_that_are_not_received_take_no_thread():
  large = wrappers.Response(bytes(2**25))
  with _serving(large, seconds=1) as connect:
    with contextlib.ExitStack() as stack:
      for _ in range(4):
        # Two requests at once: the second answer comes after the first.
        stack.enter_context(connect()).sendall(REQUEST * 2)
      patient = stack.enter_context(connect())
      patient.sendall(REQUEST)
      assert patient.recv(12) == b'HTTP/1.1 200'


@pytest.mark.parametrize('reads_slowly', [False, True])
def test_answers_have_a_deadline(reads_slowly):
  large = wrappers.Response(bytes(2**26))
  with _serving(large, connections=1, seconds=1) as connect:
    with connect() as slow, connect() as waiting:
      slow.sendall(REQUEST)
      waiting.settimeout(0.1)
      waiting.sendall(REQUEST)
      start, answer = time.monotonic(), b''
      while not answer and time.monotonic() - start < 8:
        if reads_slowly:
          # The server disconnects it at the deadline, perhaps by a reset.
          with contextlib.suppress(ConnectionError):
            slow.recv(2**19)
        with contextlib.suppress(TimeoutError):
          answer = waiting.recv(12)
      assert answer == b'HTTP/1.1 200'


def test_requests_that_do_not_wait_for_answers_get_few():
  with _serving(_length) as connect, connect() as client:
    client.sendall(REQUEST * 1000)
    answers = b''
    with contextlib.suppress(ConnectionError):
      while part := client.recv(2**16):
        answers += part
  assert 1 <= answers.count(b'HTTP/1.1 200') <= 10


def test_clients_beyond_the_limit_wait_for_the_others():
  with _serving(_length, connections=3, seconds=1) as connect:
    with contextlib.ExitStack() as stack:
      start = time.monotonic()
      silent = [stack.enter_context(connect()) for _ in range(3)]
      waiting = stack.enter_context(connect())
      waiting.sendall(REQUEST)
      assert waiting.recv(12) == b'HTTP/1.1 200'
      assert time.monotonic() - start > 0.5
      assert all(map(_is_closed, silent))


def test_calls_beyond_the_limit_wait_for_the_others():
  free, inside, most = threading.Semaphore(0), [], []

  @wrappers.Request.application
  def app(request):
    inside.append(request)
    most.append(len(inside))
    free.acquire()
    inside.pop()
    return wrappers.Response('done')

  # They are not disconnected while they wait.
  with _serving(app, seconds=1) as connect:
    with contextlib.ExitStack() as stack:
      clients = [stack.enter_context(connect()) for _ in range(6)]
      for client in clients:
        client.sendall(REQUEST)
      time.sleep(2.5)
      assert len(inside) == 2
      for _ in clients:
        free.release()
      for client in clients:
        assert client.recv(12) == b'HTTP/1.1 200'
  assert max(most) == 2


def test_chunks_that_become_too_large_are_refused():
  local_server = importlib.import_module('local_server')
  chunk = b'100000\r\n' + bytes(2**20) + b'\r\n'
  with _serving(_length) as connect, connect() as client:
    client.sendall(
      b'POST / HTTP/1.1\r\nHost: localhost\r\n'
      b'Transfer-Encoding: chunked\r\n\r\n'
    )
    sent = 0
    with contextlib.suppress(ConnectionError):
      while sent < 4 * local_server.MAX_BODY_BYTES:
        client.sendall(chunk)
        sent += len(chunk)
    assert sent < 2 * local_server.MAX_BODY_BYTES


def test_a_fault_of_the_application_is_a_500_in_one_line():
  @wrappers.Request.application
  def app(request):
    raise RuntimeError('secret')

  with _serving(app) as connect, connect() as client:
    client.sendall(REQUEST)
    answer = b''
    while part := client.recv(2**16):
      answer += part
  head, body = answer.split(b'\r\n\r\n')
  assert head.startswith(b'HTTP/1.1 500') and b'application/json' in head
  assert list(json.loads(body)) == ['error'] and b'secret' not in answer


def _client():
  """Returns a client of serve_rest, with a model that doubles."""
  serve_rest = importlib.import_module('serve_rest')
  act = tf.function(lambda *, observation: {'action': observation * 2.0})
  act = act.get_concrete_function(
    observation=tf.TensorSpec([None, 2], tf.float32)
  )
  model = serve_rest.Model('policy', 1, {'serving_default': act}, {})
  return test.Client(serve_rest.create_app(model, None))


@pytest.mark.parametrize(
  ('origin', 'status'),
  [
    ('https://elsewhere.example', 403),
    ('http://localhost.elsewhere.example', 403),
    ('http://localhost@elsewhere.example:8501', 403),
    ('null', 403),
    ('', 403),
    ('http://[', 400),
    ('http://localhost:8888', 200),
    ('http://127.0.0.1', 200),
    (None, 200),
  ],
)
def test_pages_of_other_hosts_may_not_ask(origin, status):
  answer = _client().post(
    '/v1/models/policy:predict',
    data=json.dumps({'inputs': [[1, 2]]}),
    headers={} if origin is None else {'Origin': origin},
  )
  assert answer.status_code == status
  if status == 403:
    assert answer.json == {'error': 'pages of other hosts may not ask'}


def test_an_answer_that_is_not_finite_is_refused():
  body = {'inputs': [[3e38, 0]]}
  answer = _client().post('/v1/models/policy:predict', json=body)
  assert answer.status_code == 422
  assert answer.json == {'error': 'action is not finite: give smaller numbers'}


def test_an_answer_with_too_many_numbers_is_refused(monkeypatch):
  json_tensors = importlib.import_module('json_tensors')
  monkeypatch.setattr(json_tensors, 'MAX_ANSWER', 9)
  client = _client()
  for rows, status in ((4, 200), (5, 400)):
    body = {'inputs': {'observation': [[1, 2]] * rows}}
    answer = client.post('/v1/models/policy:predict', json=body)
    assert answer.status_code == status
  assert answer.json == {
    'error': 'the answer has more than 9 numbers: ask less'
  }


def test_a_path_without_a_model_is_refused(tmp_path):
  serve_rest = importlib.import_module('serve_rest')
  for path in (tmp_path, tmp_path / 'nothing', EXAMPLES):
    with pytest.raises(SystemExit, match=f'{path} has no SavedModel: give'):
      serve_rest.load(str(path), 'policy')
