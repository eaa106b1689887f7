"""Serves a SavedModel that acts and adapts over HTTP, only on this machine.

  python examples/serve_rest.py --model=runs/RUN/saved_model --port=8500

It needs `tensorflow` and Werkzeug, which TensorFlow installs. GET / lists the
signatures. POST /SIGNATURE takes an object {name: nested lists} and returns
one. The client keeps the policy's state: /initial_state and /adapt return it,
/act_adapted and /adapt take it. See rest_client.py.
"""

import argparse
import json
import math
import re
import threading

import bounded_server
import numpy as np
import tensorflow as tf
from werkzeug import exceptions
from werkzeug import wrappers
from werkzeug import wsgi

MAX_BODY_BYTES = 32 * 2**20
MAX_TASKS = 256
MAX_ROWS = 100_000  # Observations of act_adapted, frames of adapt.
MAX_ANSWER = 2**22  # Numbers in an answer.
MAX_LISTS = 2**20  # Lists, objects and names in a body.
# Simultaneous calls. Parsing a body takes about ten times its size of memory.
MAX_CALLS = 2
MAX_CONNECTIONS = 16  # Simultaneous connections. More wait to be accepted.
SECONDS = 10.0  # Limit of sending a request, of waiting, and of receiving.
RANGES = {
  'batch_size': (1, MAX_TASKS),
  'step_type': (0, 2),
  'next_step_type': (0, 2),
}
# Other names are refused: a web page could make its own resolve to this
# machine.
HOSTS = ['127.0.0.1', 'localhost']


def create_app(model):
  """Returns the WSGI application that calls the model's signatures."""
  calls = threading.BoundedSemaphore(MAX_CALLS)

  @wrappers.Request.application
  def app(request):
    request.max_content_length = MAX_BODY_BYTES
    try:
      return _respond(model, request, calls)
    except exceptions.ClientDisconnected:
      return _refuse(f'send all in {SECONDS:g} s', 408)
    except exceptions.HTTPException as error:
      return _refuse(error.description, error.code)
    except (ValueError, OverflowError, RecursionError) as error:
      return _refuse(str(error), 400)
    except tf.errors.InvalidArgumentError as error:
      reason = re.search(r'assertion failed: \[(.*?)\]', error.message)
      return _refuse(reason[1] if reason else 'sizes do not fit', 400)

  return app


def _respond(model, request, calls):
  if not wsgi.host_is_trusted(request.host, HOSTS):
    raise exceptions.BadRequest(f'ask for {" or ".join(HOSTS)}')
  name = request.path.strip('/')
  wanted = ['POST'] if name else ['GET', 'HEAD']
  if name and name not in model.signatures:
    raise exceptions.NotFound(f'no signature {name}: GET / lists them')
  if request.method not in wanted:
    raise exceptions.MethodNotAllowed(wanted, f'{wanted[0]} /{name}')
  if not name:
    return _json({k: _describe(fn) for k, fn in model.signatures.items()}, 200)
  if request.content_length is None:
    raise exceptions.LengthRequired('give a Content-Length: no chunks')
  body = request.get_data(cache=False)
  if not calls.acquire(timeout=SECONDS):
    raise exceptions.ServiceUnavailable('busy: try again')
  try:
    return _json(_call(model.signatures[name], body), 200)
  finally:
    calls.release()


def _call(signature, body):
  if sum(map(body.count, (b'[', b'{', b':'))) > MAX_LISTS:
    raise ValueError(f'the body has more than {MAX_LISTS} lists')
  values = json.loads(body, object_pairs_hook=_object)
  specs = signature.structured_input_signature[1]
  if not isinstance(values, dict) or set(values) != set(specs):
    raise ValueError(f'give a JSON object of {", ".join(sorted(specs))}')
  answer = signature(**{k: _tensor(k, values[k], specs[k]) for k in specs})
  if sum(math.prod(tensor.shape) for tensor in answer.values()) > MAX_ANSWER:
    raise ValueError(f'the answer has more than {MAX_ANSWER} numbers: ask less')
  return {key: tensor.numpy().tolist() for key, tensor in answer.items()}


def _object(pairs):
  """Returns a JSON object as a dict.

  Raises:
    ValueError: If a name occurs twice.
  """
  if len(dict(pairs)) != len(pairs):
    raise ValueError('a name occurs twice in a JSON object')
  return dict(pairs)


def _tensor(name, value, spec):
  """Converts a nested list to a tensor and checks it against a spec.

  Raises:
    ValueError: If the list does not match the spec, or is too long.
  """
  wanted = f'{spec.dtype.name} of shape {spec.shape.as_list()} (null is any)'
  # In an array of text, every item would be as wide as the widest.
  array = np.asarray(value, object)
  types = set(map(type, array.flat))
  if list in types:
    raise ValueError(f'{name} is ragged: give {wanted}')
  if not types <= ({int, float} if spec.dtype.is_floating else {int}):
    raise ValueError(f'{name} holds values that are not numbers: give {wanted}')
  if not spec.shape.is_compatible_with(array.shape) or not array.size:
    raise ValueError(f'{name} has shape {list(array.shape)}: give {wanted}')
  rows = math.prod(n for n, m in zip(array.shape, spec.shape) if m is None)
  most = MAX_TASKS if name.startswith('state_') else MAX_ROWS
  if rows > most:
    raise ValueError(f'{name} has {rows} rows: give at most {most}')
  limits = float(spec.dtype.min), float(spec.dtype.max)
  low, high = RANGES.get(name, limits)
  if not np.all((array >= low) & (array <= high)):
    raise ValueError(f'{name} is out of range: give {low} to {high}')
  return tf.constant(array.astype(spec.dtype.as_numpy_dtype))


def _describe(signature):
  specs = signature.structured_input_signature[1]
  return {k: [s.dtype.name, s.shape.as_list()] for k, s in specs.items()}


def _refuse(reason, status):
  return _json({'error': reason}, status)


def _json(content, status):
  body = json.dumps(content, allow_nan=False)
  return wrappers.Response(body, status, mimetype='application/json')


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--model', required=True)
  parser.add_argument('--port', type=int, default=8500, help='0: any free port')
  arguments = parser.parse_args()
  app = create_app(tf.saved_model.load(arguments.model))
  server = bounded_server.BoundedServer(
    '127.0.0.1', arguments.port, app, MAX_CONNECTIONS, SECONDS
  )
  print(f'http://127.0.0.1:{server.port}', flush=True)
  server.serve_forever()


if __name__ == '__main__':
  main()
