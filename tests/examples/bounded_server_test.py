"""The example's server limits the number of clients and their time."""

import contextlib
import importlib
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


@pytest.fixture(autouse=True)
def find_examples(monkeypatch):
  monkeypatch.syspath_prepend(EXAMPLES)


@contextlib.contextmanager
def _serving(app, connections, seconds):
  """Yields a function that connects to a server of an application."""
  server = importlib.import_module('bounded_server').BoundedServer(
    '127.0.0.1', 0, app, connections, seconds
  )
  thread = threading.Thread(target=server.serve_forever, args=(0.01,))
  thread.start()
  try:
    yield lambda: socket.create_connection(('127.0.0.1', server.port), 30)
  finally:
    server.shutdown()
    thread.join()


@wrappers.Request.application
def _length(request):
  return wrappers.Response(f'{len(request.get_data())} bytes')


def test_silent_and_slow_clients_are_disconnected_after_the_limit():
  begun = b'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n'
  with _serving(_length, connections=2, seconds=0.5) as connect:
    start = time.monotonic()
    with connect() as silent, connect() as dripping:
      dripping.sendall(begun)
      with contextlib.suppress(ConnectionError):
        while time.monotonic() - start < 10:
          dripping.sendall(b'a')
          time.sleep(0.05)
      assert 0.4 < time.monotonic() - start < 5
      assert silent.recv(100) == b''


def test_an_answer_that_is_not_received_is_abandoned():
  large = wrappers.Response(bytes(2**26))
  with _serving(large, connections=1, seconds=0.5) as connect:
    with connect() as deaf, connect() as patient:
      deaf.sendall(REQUEST)
      time.sleep(0.1)
      patient.sendall(REQUEST)
      assert patient.recv(12) == b'HTTP/1.1 200'


def test_clients_beyond_the_limit_wait_for_the_others():
  free, inside, most = threading.Semaphore(0), [], []

  @wrappers.Request.application
  def app(request):
    inside.append(request)
    most.append(len(inside))
    free.acquire()
    inside.pop()
    return wrappers.Response('done')

  with _serving(app, connections=3, seconds=20) as connect:
    with contextlib.ExitStack() as stack:
      clients = [stack.enter_context(connect()) for _ in range(8)]
      for client in clients:
        client.sendall(REQUEST)
      while len(inside) < 3:
        time.sleep(0.01)
      time.sleep(0.3)
      assert len(inside) == 3
      for _ in clients:
        free.release()
      for client in clients:
        assert client.recv(12) == b'HTTP/1.1 200'
  assert max(most) == 3


def test_requests_beyond_the_limit_of_calls_get_a_busy_answer(monkeypatch):
  serve_rest = importlib.import_module('serve_rest')
  monkeypatch.setattr(serve_rest, 'SECONDS', 0.2)
  free, entered = threading.Event(), threading.Semaphore(0)

  class Model:
    """Answers once `free` is set."""

    structured_input_signature = (
      (),
      {'batch_size': tf.TensorSpec([], tf.int32)},
    )

    @property
    def signatures(self):
      return {'initial_state': self}

    def __call__(self, batch_size):
      entered.release()
      free.wait()
      return {'state_0': tf.zeros([int(batch_size)])}

  app = serve_rest.create_app(Model())

  def ask(statuses):
    answer = test.Client(app).post('/initial_state', data='{"batch_size": 1}')
    statuses.append((answer.status_code, answer.json))

  statuses = []
  calls = [
    threading.Thread(target=ask, args=(statuses,))
    for _ in range(serve_rest.MAX_CALLS)
  ]
  for call in calls:
    call.start()
    entered.acquire()
  ask(statuses)
  assert statuses == [(503, {'error': 'busy: try again'})]
  free.set()
  for call in calls:
    call.join()
  ask(statuses)
  assert statuses[1:] == [(200, {'state_0': [0.0]})] * (len(calls) + 1)


def test_an_answer_with_too_many_numbers_is_refused(monkeypatch):
  serve_rest = importlib.import_module('serve_rest')
  monkeypatch.setattr(serve_rest, 'MAX_ANSWER', 9)
  model = tf.Module()
  act = tf.function(lambda *, observation: {'action': observation * 2.0})
  model.signatures = {
    'serving_default': act.get_concrete_function(
      observation=tf.TensorSpec([None, 2], tf.float32)
    )
  }
  client = test.Client(serve_rest.create_app(model))
  for rows, status in ((4, 200), (5, 400)):
    answer = client.post(
      '/serving_default', json={'observation': [[1, 2]] * rows}
    )
    assert answer.status_code == status
  assert answer.json == {
    'error': 'the answer has more than 9 numbers: ask less'
  }
