"""A WSGI server whose connections are bounded in number and in time."""

import contextlib
import socket
import threading

from werkzeug import serving


class BoundedServer(serving.ThreadedWSGIServer):
  """Serves each connection in a thread of its own, so many at once.

  Further connections wait to be accepted. A client has so many seconds to send
  its one request, and as many to take the answer.
  """

  def __init__(self, host, port, app, connections, seconds):
    self.seconds = seconds
    self._free = threading.BoundedSemaphore(connections)
    super().__init__(host, port, app, _Handler)

  def process_request(self, request, client_address):
    self._free.acquire()
    super().process_request(request, client_address)

  def process_request_thread(self, request, client_address):
    try:
      super().process_request_thread(request, client_address)
    finally:
      self._free.release()


class _Handler(serving.WSGIRequestHandler):
  """Takes one request, and hangs up on a client that lets it wait."""

  def setup(self):
    self.timeout = self.server.seconds
    super().setup()
    # The socket's timeout is for silence: a byte now and then is none.
    self._deadline = threading.Timer(self.server.seconds, self._stop_reading)
    self._deadline.daemon = True
    self._deadline.start()

  def finish(self):
    self._deadline.cancel()
    super().finish()

  def _stop_reading(self):
    with contextlib.suppress(OSError):
      self.connection.shutdown(socket.SHUT_RD)
