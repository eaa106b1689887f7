"""A WSGI server that limits the number and the duration of connections."""

import contextlib
import socket
import threading

from werkzeug import serving


class BoundedServer(serving.ThreadedWSGIServer):
  """Serves a limited number of connections, each in a thread of its own.

  Further connections wait to be accepted. Each connection carries one request.
  """

  def __init__(self, host, port, app, connections, seconds):
    """Starts to listen.

    Args:
      host: The address to listen at.
      port: The port, 0 for any free one.
      app: The WSGI application.
      connections: The largest number of connections at the same time.
      seconds: The time that a client has to send its request, and again to
        receive the response [s].
    """
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
  """Answers one request and disconnects from clients that are too slow."""

  def setup(self):
    self.timeout = self.server.seconds
    super().setup()
    # The socket's timeout covers only complete silence. This timer also stops
    # clients that send a byte now and then.
    self._deadline = threading.Timer(self.server.seconds, self._stop_reading)
    self._deadline.daemon = True
    self._deadline.start()

  def finish(self):
    self._deadline.cancel()
    super().finish()

  def _stop_reading(self):
    with contextlib.suppress(OSError):
      self.connection.shutdown(socket.SHUT_RD)
