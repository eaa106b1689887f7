"""Waitress on this machine alone, with limits, and with errors in JSON."""

import json
import logging
import math
import time

import waitress
from waitress import channel
from waitress import task

MAX_BODY_BYTES = 32 * 2**20
# Simultaneous calls. Parsing a body takes about ten times its size of memory.
MAX_CALLS = 2
MAX_CONNECTIONS = 100  # Simultaneous connections. More wait to be accepted.
# Limit of sending a request, of receiving an answer, and of silence.
SECONDS = 30


class _ErrorTask(task.ErrorTask):
  """Answers what is not a request in JSON as well."""

  def execute(self):
    error = self.request.error
    body = json.dumps({'error': ' '.join(str(error.body).split())}).encode()
    self.status = f'{error.code} {error.reason}'
    self.response_headers.append(('Content-Type', 'application/json'))
    self.set_close_on_finish()
    self.content_length = len(body)
    self.write(body)


class _Task(task.WSGITask):
  """Answers one request, and no others that the client sent along with it.

  Their answers could fill the disk while the client receives none.
  """

  def start(self):
    super().start()
    if len(self.channel.requests) > 1:
      self.set_close_on_finish()


class _Channel(channel.HTTPChannel):
  """A connection that a byte now and then does not keep open."""

  task_class = _Task
  error_task_class = _ErrorTask
  _answered = math.inf

  def handle_read(self):
    request, last_activity = self.request, self.last_activity
    super().handle_read()
    if request is not None and request is self.request:
      self.last_activity = last_activity

  def write_soon(self, data):
    self._answered = time.monotonic()
    return super().write_soon(data)

  def writable(self):
    # Waitress would keep the answer until the client has read it.
    is_late = time.monotonic() - self._answered > self.adj.channel_timeout
    if self.total_outbufs_len and is_late:
      self.handle_close()
      return False
    return super().writable()


def create(app, port, connections=MAX_CONNECTIONS, seconds=SECONDS):
  """Returns a server, with all limits that concern connections and bytes.

  Args:
    app: The WSGI application.
    port: The port at 127.0.0.1, 0 for any free one.
    connections: The largest number of connections at the same time.
    seconds: The time that a client has to send a request, and to receive the
      answer [s].
  """
  logging.getLogger('waitress.queue').setLevel(logging.ERROR)
  server = waitress.create_server(
    app,
    host='127.0.0.1',
    port=port,
    threads=MAX_CALLS,
    # It counts two of the server's own.
    connection_limit=connections + 2,
    channel_timeout=seconds,
    cleanup_interval=1,
    asyncore_use_poll=True,
    max_request_body_size=MAX_BODY_BYTES,
    log_socket_errors=False,
  )
  server.channel_class = _Channel
  return server
