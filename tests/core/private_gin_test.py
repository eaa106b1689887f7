"""Some calls see another gin configuration, and nobody else does."""

import threading

import gin
import pytest

from maml_tf.core import private_gin


@gin.configurable
def private_gin_price(amount=1):
  return amount


@gin.configurable
class PrivateGinShop:
  def __init__(self, name='corner'):
    self.name = name

  def price(self):
    return private_gin_price()

  def _price(self):
    return private_gin_price()


@pytest.fixture(autouse=True)
def clear_gin():
  gin.clear_config()
  yield
  gin.clear_config()


@pytest.fixture(name='private')
def create_private():
  private = private_gin.PrivateGin()
  with private.parsing():
    gin.parse_config_files_and_bindings([], ['private_gin_price.amount = 5'])
  return private


def _state():
  return gin.config_str(), gin.operative_config_str(), gin.config_is_locked()


@pytest.mark.parametrize('is_locked', [False, True])
def test_the_configuration_of_the_process_stays(is_locked):
  gin.parse_config('import math\nprivate_gin_price.amount = 2')
  if is_locked:
    gin.finalize()
  private_gin_price()
  before = _state()
  private = private_gin.PrivateGin()
  with private.parsing():
    gin.parse_config_files_and_bindings(
      [], ['private_gin_price.amount = 5', 'PrivateGinShop.name = "x"']
    )
  with private.entered():
    assert private_gin_price() == 5 and PrivateGinShop().name == 'x'
    assert 'PrivateGinShop' in gin.operative_config_str()
  with pytest.raises(ValueError), private.parsing():
    gin.parse_config('no_such_thing.amount = 2')
  assert _state() == before
  assert 'import math' in before[0] and 'PrivateGinShop' not in before[1]
  assert private_gin_price() == 2


def test_bound_objects_and_what_they_call_see_it(private):
  shop = PrivateGinShop()
  private.bind(shop)
  assert shop.price() == 5
  assert shop._price() == 1 and PrivateGinShop().price() == 1
  assert private.bound(private_gin_price)() == 5


def test_other_threads_do_not_see_it(private):
  seen = []
  with private.entered():
    thread = threading.Thread(target=lambda: seen.append(private_gin_price()))
    thread.start()
    thread.join()
    assert private_gin_price() == 5
  assert seen == [1]


def test_the_callers_scopes_do_not_count(private):
  with private.parsing(), gin.unlock_config():
    gin.bind_parameter('mine/private_gin_price.amount', 7)
  with gin.config_scope('mine'):
    with private.entered():
      assert private_gin_price() == 5
    assert gin.current_scope() == ['mine']


def test_configurations_nest(private):
  other = private_gin.PrivateGin()
  with private.entered():
    with other.entered():
      assert private_gin_price() == 1
    assert private_gin_price() == 5
