"""A network evaluated with given parameter tensors instead of its variables."""

import contextlib
from typing import Any

import tensorflow as tf
from tf_agents.networks import network as network_lib
from tf_agents.typing import types


class ParameterizedNetwork(tf.Module):
  """Calls a network as a function of its trainable parameters.

  While a call lasts, the attributes of the network's layers that hold its
  trainable variables hold the given tensors; they are restored afterwards. A
  variable is found by identity, never by name or order, and wherever it is
  shared every place is swapped.

  The swap is not visible outside the call, but it isn't safe to call one
  network from several threads at once.
  """

  def __init__(
    self,
    network: network_lib.Network,
    value_network: network_lib.Network | None = None,
  ):
    """Finds where the networks keep their trainable variables.

    Args:
      network: A TF-Agents `Network`, the policy's. Its variables are created if
        they aren't.
      value_network: Another one, whose parameters are adapted along with the
        policy's; it may share layers with it. None: there is none.

    Raises:
      ValueError: A trainable variable is not an attribute of any layer (a layer
        that keeps its variables in a list or dict), so that calls would
        silently use the variable. The message names it.
    """
    super().__init__(name=network.name)
    self._network = network
    self._value_network = value_network
    networks = [network] if value_network is None else [network, value_network]
    for each in networks:
      each.create_variables()
    variables = [v for each in networks for v in each.trainable_variables]
    # A layer that the networks share has its variables in both.
    self._variables_tuple = tuple({id(v): v for v in variables}.values())
    self._slots = _find_slots(networks, self._variables_tuple)

  @property
  def network(self) -> network_lib.Network:
    """The network itself."""
    return self._network

  @property
  def variables_tuple(self) -> tuple[tf.Variable, ...]:
    """The trainable variables: the structure of the parameters."""
    return self._variables_tuple

  @property
  def spec(self) -> tuple[tf.TensorSpec, ...]:
    """Shapes, dtypes and names of the parameters of one task."""
    return tuple(
      tf.TensorSpec(
        v.shape, v.dtype, name=v.name.split(':')[0].replace('/', '.')
      )
      for v in self.variables_tuple
    )

  def __call__(
    self, parameters: tuple[types.Tensor, ...], *args, **kwargs
  ) -> Any:
    """Evaluates the network.

    Args:
      parameters: One tensor for each of `variables_tuple`, of its shape.
      *args: What the network takes.
      **kwargs: What the network takes.

    Returns:
      What the network returns.

    Raises:
      ValueError: The number of parameters is not the network's.
    """
    return self._call(self._network, parameters, *args, **kwargs)

  def value(
    self, parameters: tuple[types.Tensor, ...], *args, **kwargs
  ) -> types.Tensor:
    """Evaluates the value network; arguments as in `__call__`."""
    return self._call(self._value_network, parameters, *args, **kwargs)[0]

  def _call(self, network, parameters, *args, **kwargs):
    if len(parameters) != len(self._slots):
      raise ValueError(
        f'{self._network.name} has {len(self._slots)} parameters, got '
        f'{len(parameters)}.'
      )
    with self._swapped(parameters):
      return network(*args, **kwargs)

  @contextlib.contextmanager
  def _swapped(self, parameters):
    variables = self.variables_tuple
    try:
      for slots, parameter in zip(self._slots, parameters):
        for layer, attribute in slots:
          vars(layer)[attribute] = parameter
      yield
    finally:
      for slots, variable in zip(self._slots, variables):
        for layer, attribute in slots:
          vars(layer)[attribute] = variable


def _find_slots(
  networks: list[network_lib.Network], variables: tuple[tf.Variable, ...]
) -> list[list[tuple[tf.Module, str]]]:
  """Returns, per trainable variable, the (layer, attribute) pairs it is at."""
  slots = {id(v): {} for v in variables}
  for network in networks:
    for layer in (network, *network.submodules):
      for attribute, value in vars(layer).items():
        if id(value) in slots:
          slots[id(value)][id(layer), attribute] = (layer, attribute)
  unreachable = [v.name for v in variables if not slots[id(v)]]
  if unreachable:
    names = ', '.join(network.name for network in networks)
    raise ValueError(
      f'Network {names} keeps {", ".join(unreachable)} where it cannot'
      ' be replaced by adapted parameters: make each variable an attribute of'
      ' its layer (not an item of a list or dict).'
    )
  return [list(slots[id(v)].values()) for v in variables]
