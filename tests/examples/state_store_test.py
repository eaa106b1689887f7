"""The example's store keeps the states that were used last, within limits."""

import concurrent.futures
import importlib
import pathlib

import pytest
import tensorflow as tf
from werkzeug import test

EXAMPLES = pathlib.Path(__file__).parents[2] / 'examples'


@pytest.fixture(autouse=True)
def find_examples(monkeypatch):
  monkeypatch.syspath_prepend(EXAMPLES)


def _store(max_states, max_bytes):
  return importlib.import_module('state_store').StateStore(
    max_states, max_bytes
  )


def _state(value, size=2):
  """A state of 4 * size + 4 bytes."""
  return {'state_0': tf.fill([1, size], value), 'state_steps': tf.constant([0])}


def _is_there(store, state_id):
  try:
    store.get(state_id)
  except KeyError:
    return False
  return True


def test_the_state_that_was_used_longest_ago_goes_first():
  store = _store(2, 10**6)
  first, second = store.put(_state(1.0)), store.put(_state(2.0))
  assert store.get(first)['state_0'].numpy().tolist() == [[1.0, 1.0]]
  third = store.put(_state(3.0))
  assert not _is_there(store, second)
  assert _is_there(store, first) and _is_there(store, third)


def test_the_bytes_of_all_states_are_limited():
  # 4 * 12 = 48 bytes, then 24 + 24: room for 60.
  store = _store(100, 60)
  small = [store.put(_state(0.0)) for _ in range(5)]
  large = store.put(_state(0.0, size=11))
  assert [_is_there(store, i) for i in small] == [False] * 4 + [True]
  assert _is_there(store, large)
  with pytest.raises(ValueError, match='has 64 bytes: .* at most 60 bytes'):
    store.put(_state(0.0, size=15))
  assert _is_there(store, large)


def test_ids_cannot_be_guessed():
  store = _store(10**4, 10**6)
  ids = {store.put(_state(0.0)) for _ in range(1000)}
  assert len(ids) == 1000
  assert {len(i) for i in ids} == {22}  # 128 bits.


def test_threads_share_a_store():
  store = _store(10, 200)

  def use(number):
    for _ in range(200):
      state_id = store.put(_state(float(number)))
      try:
        assert store.get(state_id)['state_0'][0, 0] == number
      except KeyError:
        pass

  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    list(pool.map(use, range(8)))
  # Nothing is counted twice: there is still room for ten.
  ids = [store.put(_state(0.0)) for _ in range(10)]
  assert all(_is_there(store, i) for i in ids)


def _predict(store):
  """Returns a function that asks serve_rest: a status and an answer."""
  serve_rest = importlib.import_module('serve_rest')
  start = tf.function(
    lambda *, batch_size: {'state_0': tf.zeros([batch_size, 2])}
  )
  act = tf.function(
    lambda *, observation, state_0: {'action': observation + state_0}
  )
  adapt = tf.function(
    lambda *, reward, state_0: {'state_0': state_0 + reward[:, None] * 1e38}
  )
  state = tf.TensorSpec([None, 2], tf.float32)
  specs = {
    'observation': tf.TensorSpec([None, 2], tf.float32),
    'state_0': state,
  }
  signatures = {
    'initial_state': start.get_concrete_function(
      batch_size=tf.TensorSpec([], tf.int32)
    ),
    'act_adapted': act.get_concrete_function(**specs),
    'adapt': adapt.get_concrete_function(
      reward=tf.TensorSpec([None], tf.float32), state_0=state
    ),
  }
  model = serve_rest.Model('policy', 1, signatures, {})
  client = test.Client(serve_rest.create_app(model, store))

  def predict(signature, inputs, **others):
    body = {'signature_name': signature, 'inputs': inputs, **others}
    answer = client.post('/v1/models/policy:predict', json=body)
    return answer.status_code, answer.json

  return predict


def test_a_client_whose_state_is_gone_gets_a_404_and_may_adapt_again():
  predict = _predict(_store(1, 100))

  def adapt():
    _, answer = predict('initial_state', 1, keep_state=True)
    return answer['outputs']

  first, second = adapt(), adapt()
  observation = {'observation': [[1, 2]]}
  assert predict('act_adapted', observation | second) == (
    200,
    {'outputs': [[1.0, 2.0]]},
  )
  assert predict('act_adapted', observation | first) == (
    404,
    {'error': 'no such state_id: adapt again'},
  )
  assert predict('act_adapted', observation | adapt())[0] == 200
  # 16 tasks are 128 bytes.
  status, answer = predict('initial_state', 16, keep_state=True)
  assert status == 400 and 'the state has 128 bytes' in answer['error']


def test_a_state_that_is_not_finite_is_refused_and_not_kept():
  predict = _predict(_store(1, 100))
  _, answer = predict('initial_state', 1, keep_state=True)
  kept = answer['outputs']
  for keep_state in (True, False):
    inputs = {'reward': [10.0], **kept}
    assert predict('adapt', inputs, keep_state=keep_state) == (
      422,
      {'error': 'the new state is not finite: give smaller numbers'},
    )
  # It did not replace the one that there is room for.
  inputs = {'observation': [[1, 2]], **kept}
  assert predict('act_adapted', inputs) == (200, {'outputs': [[1.0, 2.0]]})


def test_the_client_adapts_again_when_its_state_is_gone():
  rest_client = importlib.import_module('rest_client')
  calls, kept = [], set()

  def model(signature, keep_state=False, **inputs):
    calls.append(signature)
    if signature == 'act_adapted':
      if inputs['state_id'] not in kept:
        raise rest_client.StateGone()
      return inputs['state_id']
    if not keep_state:
      return {'state_0': 0.0}
    kept.add(len(calls))
    return {'state_id': len(calls)}

  policy = rest_client.Policy(model, keep_state=True)
  policy.adapt({'reward': 1.0})
  assert policy.act([[0.0]]) == 3
  kept.clear()
  assert policy.act([[0.0]]) == 7
  assert calls == [
    *('initial_state', 'initial_state', 'adapt', 'act_adapted'),
    *('act_adapted', 'initial_state', 'adapt', 'act_adapted'),
  ]
