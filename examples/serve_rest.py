"""Serves a SavedModel that acts and adapts over HTTP, to this machine alone.

  python examples/serve_rest.py --model=runs/RUN/saved_model --port=8500

It needs `tensorflow` and Werkzeug, which comes with it. GET / tells the
signatures; POST /SIGNATURE takes {name: nested lists} and returns the same. The
state is the client's: it comes from /initial_state or /adapt and goes to
/act_adapted or /adapt. See rest_client.py.
"""

import argparse
import json
import re

import numpy as np
import tensorflow as tf
from werkzeug import exceptions
from werkzeug import serving
from werkzeug import wrappers

MAX_BODY_BYTES = 32 * 2**20
RANGES = {'batch_size': (1, 256), 'step_type': (0, 2), 'next_step_type': (0, 2)}


def create_app(model):
  """Returns the WSGI application that calls the model's signatures."""

  @wrappers.Request.application
  def app(request):
    request.max_content_length = MAX_BODY_BYTES
    try:
      return _json(_respond(model, request), 200)
    except exceptions.HTTPException as error:
      return _json({'error': error.description}, error.code)
    except (ValueError, RecursionError) as error:
      return _json({'error': str(error)}, 400)
    except tf.errors.InvalidArgumentError as error:
      reason = re.search(r'assertion failed: \[(.*?)\]', error.message)
      return _json({'error': reason[1] if reason else 'sizes do not fit'}, 400)

  return app


def _respond(model, request):
  name = request.path.strip('/')
  if not name and request.method == 'GET':
    return {key: _describe(fn) for key, fn in model.signatures.items()}
  if name not in model.signatures:
    raise exceptions.NotFound(f'no signature {name}: GET / tells them')
  if request.method != 'POST':
    raise exceptions.MethodNotAllowed(['POST'], f'POST to /{name}')
  values, signature = json.loads(request.get_data()), model.signatures[name]
  specs = signature.structured_input_signature[1]
  if not isinstance(values, dict) or set(values) != set(specs):
    raise ValueError(f'give a JSON object of {", ".join(sorted(specs))}')
  answer = signature(**{k: _tensor(k, values[k], specs[k]) for k in specs})
  return {key: tensor.numpy().tolist() for key, tensor in answer.items()}


def _tensor(name, value, spec):
  """Checks a nested list against what the signature declares."""
  wanted = f'{spec.dtype.name} of shape {spec.shape.as_list()} (null is any)'
  try:
    array = np.asarray(value)
  except ValueError as error:
    raise ValueError(f'{name} is ragged: give {wanted}') from error
  if array.dtype.kind not in ('fiu' if spec.dtype.is_floating else 'iu'):
    raise ValueError(f'{name} holds something else than numbers: give {wanted}')
  if not spec.shape.is_compatible_with(array.shape) or not array.size:
    raise ValueError(f'{name} has shape {list(array.shape)}: give {wanted}')
  low, high = RANGES.get(name, (spec.dtype.min, spec.dtype.max))
  if not np.all((array >= low) & (array <= high)):
    raise ValueError(f'{name} is out of range: give {low} to {high}')
  return tf.constant(array, spec.dtype)


def _describe(signature):
  specs = signature.structured_input_signature[1]
  return {k: [s.dtype.name, s.shape.as_list()] for k, s in specs.items()}


def _json(content, status):
  body = json.dumps(content, allow_nan=False)
  return wrappers.Response(body, status, mimetype='application/json')


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--model', required=True)
  parser.add_argument('--port', type=int, default=8500, help='0: any free one.')
  arguments = parser.parse_args()
  app = create_app(tf.saved_model.load(arguments.model))
  server = serving.make_server('127.0.0.1', arguments.port, app, threaded=True)
  print(f'http://127.0.0.1:{server.port}', flush=True)
  server.serve_forever()


if __name__ == '__main__':
  main()
