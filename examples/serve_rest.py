"""Serves a SavedModel that acts and adapts over HTTP, only on this machine.

  pip install waitress werkzeug
  python examples/serve_rest.py --model=models/cheetah --port=8501

It needs `tensorflow` besides. The model is a SavedModel, or a folder of
numbered ones, of which it serves the largest number. Requests have the form of
TensorFlow Serving's REST interface:

  GET  /v1/models/policy             whether the model is there
  GET  /v1/models/policy/metadata    its signatures
  POST /v1/models/policy:predict     calls a signature:
    {"signature_name": "act_adapted", "inputs": {"observation": [[0, 0]], ...}}
    -> {"outputs": {"action": [[0.1, 0.2]], ...}}

The client keeps the policy's state: initial_state and adapt return it,
act_adapted and adapt take it. With "keep_state": true beside the inputs, this
server keeps it instead and returns a `state_id`, which stands for the state in
later inputs. An id that is gone is a 404: adapt again. See rest_client.py.
"""

import argparse
import json
import os
import re
import sys
from typing import NamedTuple
import urllib.parse

from google.protobuf import json_format
import json_tensors
import local_server
import numpy as np
import state_store
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from werkzeug import exceptions
from werkzeug import wrappers
from werkzeug import wsgi

MAX_STATES = 10_000  # States that the server keeps.
MAX_STATE_BYTES = 2**28
# Other names are refused: a web page could make its own resolve to this
# machine.
HOSTS = ['127.0.0.1', 'localhost']
PATH = re.compile(
  r'/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]+))?'
  r'(?P<rest>|/metadata|:predict)'
)


class Model(NamedTuple):
  """A model to serve.

  Attributes:
    name: Its name in requests.
    version: The number of its version.
    signatures: Its functions of named tensors, by name.
    definitions: How TensorFlow Serving describes each of them.
  """

  name: str
  version: int
  signatures: dict
  definitions: dict


def load(path, name):
  """Loads a SavedModel, or the largest number of a folder of them."""
  version = '1'
  if not tf.saved_model.contains_saved_model(path):
    names = os.listdir(path) if os.path.isdir(path) else []
    version = max(filter(str.isdecimal, names), key=int, default=None)
    if version is None:
      sys.exit(f'serve_rest: {path} has no SavedModel: give another --model')
    path = os.path.join(path, version)
  with open(os.path.join(path, 'saved_model.pb'), 'rb') as file:
    (graph,) = saved_model_pb2.SavedModel.FromString(file.read()).meta_graphs
  definitions = {
    key: json_format.MessageToDict(value, preserving_proto_field_name=True)
    for key, value in graph.signature_def.items()
  }
  signatures = tf.saved_model.load(path).signatures
  return Model(name, int(version), signatures, definitions)


def create_app(model, states):
  """Returns the WSGI application that calls the model's signatures.

  Args:
    model: A `Model`.
    states: A `StateStore`.
  """

  @wrappers.Request.application
  def app(request):
    try:
      return _json(_answer(model, states, request), 200)
    except exceptions.HTTPException as error:
      return _json({'error': error.description}, error.code)
    except (ValueError, OverflowError, RecursionError) as error:
      return _json({'error': str(error)}, 400)
    except tf.errors.InvalidArgumentError as error:
      reason = re.search(r'assertion failed: \[(.*?)\]', error.message)
      reason = reason[1] if reason else 'sizes do not fit'
      return _json({'error': reason}, 400)

  return app


def _answer(model, states, request):
  if not wsgi.host_is_trusted(request.host, HOSTS):
    raise exceptions.BadRequest(f'ask for {" or ".join(HOSTS)}')
  # Browsers name the page that asks; other clients name none.
  origin = request.headers.get('Origin')
  if origin is not None and urllib.parse.urlsplit(origin).hostname not in HOSTS:
    raise exceptions.Forbidden('pages of other hosts may not ask')
  path = PATH.fullmatch(request.path)
  if not path:
    raise exceptions.NotFound(f'ask for /v1/models/{model.name}')
  if path['name'] != model.name or int(path['version'] or model.version) != (
    model.version
  ):
    raise exceptions.NotFound(
      f'ask for {model.name}, version {model.version}: it is all that is here'
    )
  allowed = ['POST'] if path['rest'] == ':predict' else ['GET', 'HEAD']
  if request.method not in allowed:
    raise exceptions.MethodNotAllowed(allowed, f'ask by {allowed[0]}')
  if path['rest'] == ':predict':
    return _predict(model, states, request.get_data(cache=False))
  version = str(model.version)
  if path['rest'] == '/metadata':
    return {
      'model_spec': {'name': model.name, 'version': version},
      'metadata': {'signature_def': {'signature_def': model.definitions}},
    }
  status = {'error_code': 'OK', 'error_message': ''}
  return {
    'model_version_status': [
      {'version': version, 'state': 'AVAILABLE', 'status': status}
    ]
  }


def _predict(model, states, body):
  body = json_tensors.parse(body)
  unknown = set(body) - {'signature_name', 'inputs', 'keep_state'}
  if unknown or 'inputs' not in body:
    raise ValueError(
      'give a JSON object of signature_name, inputs and, if you like,'
      ' keep_state'
    )
  name = body.get('signature_name', 'serving_default')
  if not isinstance(name, str) or name not in model.signatures:
    raise ValueError(
      f'no such signature_name: give {", ".join(sorted(model.signatures))}'
    )
  if not isinstance(body.get('keep_state', False), bool):
    raise ValueError('keep_state is not true or false')
  signature = model.signatures[name]
  outputs = signature(**_inputs(signature, body['inputs'], states))
  _check_finite(outputs)
  kept = {n: t for n, t in outputs.items() if n.startswith('state_')}
  if kept and body.get('keep_state'):
    return {'outputs': {'state_id': states.put(kept)}}
  values = json_tensors.to_lists(outputs)
  # TensorFlow Serving leaves out the name of a single output.
  return {'outputs': values if len(values) > 1 else next(iter(values.values()))}


def _check_finite(outputs):
  for name, tensor in outputs.items():
    if tensor.dtype.is_floating and not np.isfinite(tensor).all():
      what = 'the new state' if name.startswith('state_') else name
      raise exceptions.UnprocessableEntity(
        f'{what} is not finite: give smaller numbers'
      )


def _inputs(signature, values, states):
  specs = dict(signature.structured_input_signature[1])
  if not isinstance(values, dict) and len(specs) == 1:
    values = dict.fromkeys(specs, values)  # Nor need a single input have one.
  if not isinstance(values, dict) or 'state_id' not in values:
    return json_tensors.to_tensors(values, specs)
  try:
    state = states.get(values['state_id'])
  except (KeyError, TypeError):
    raise exceptions.NotFound('no such state_id: adapt again') from None
  if not set(state) <= set(specs):
    raise ValueError('this signature takes no state_id')
  values = {n: v for n, v in values.items() if n != 'state_id'}
  specs = {n: s for n, s in specs.items() if n not in state}
  return state | json_tensors.to_tensors(values, specs)


def _json(content, status):
  body = json.dumps(content, allow_nan=False)
  return wrappers.Response(body, status, mimetype='application/json')


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--model', required=True)
  parser.add_argument('--name', default='policy', help='its name in requests')
  parser.add_argument('--port', type=int, default=8501, help='0: any free port')
  arguments = parser.parse_args()
  app = create_app(
    load(arguments.model, arguments.name),
    state_store.StateStore(MAX_STATES, MAX_STATE_BYTES),
  )
  server = local_server.create(app, arguments.port)
  print(f'http://127.0.0.1:{server.effective_port}', flush=True)
  server.run()


if __name__ == '__main__':
  main()
