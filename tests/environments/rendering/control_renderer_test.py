"""Images of pendulums and carts show their states and masses."""

import numpy as np

from maml_tf.environments import classic_control

_BLUE, _RED = (31, 119, 180), (214, 39, 40)


def _render(environment, task, state, width=120, height=100):
  states = np.array([state], np.float64)
  renderer = environment.create_renderer(np.array(task), states, width, height)
  return renderer(states).astype(int)


def _pixels(image, colour):
  """Returns the rows and columns [K, 2] of the pixels near a colour."""
  near = np.abs(image - colour).sum(axis=2) < 90
  assert near.any()
  return np.argwhere(near)


def test_the_bob_is_at_its_angle():
  pendulum = classic_control.PendulumMass(1, 1)
  # The image is 3 m high: 33.3 pixels a metre. Positive angles are to the left.
  for angle, row, column in (
    (0, 50 - 33.3, 60),
    (np.pi / 2, 50, 60 - 33.3),
    (np.pi, 50 + 33.3, 60),
  ):
    image = _render(pendulum, 1.0, [angle, 0])
    assert image.shape == (100, 120, 3)
    np.testing.assert_allclose(
      _pixels(image, _BLUE).mean(axis=0), [row, column], atol=1
    )


def test_a_heavier_bob_is_larger():
  pendulum = classic_control.PendulumMass(1, 1)
  light, heavy = (
    len(_pixels(_render(pendulum, mass, [0, 0], 360, 300), _BLUE))
    for mass in (0.5, 2.0)
  )
  np.testing.assert_allclose(heavy / light, 4, rtol=0.1)


def test_cart_and_pole_are_at_their_places():
  carts = classic_control.CartPoleMass(1, 1)
  image = _render(carts, [1, 0.1], [1.0, 0, 0.2, 0], 260, 260)
  # The image is 5.2 m wide: 50 pixels a metre.
  cart, pole = (_pixels(image, colour) for colour in (_BLUE, _RED))
  np.testing.assert_allclose(cart.mean(axis=0)[1], 130 + 50, atol=1)
  # The pole starts at the cart's middle, is 1 m long and leans to the right.
  np.testing.assert_allclose(
    pole.mean(axis=0)[1], 130 + 50 + 25 * np.sin(0.2), atol=1
  )
  np.testing.assert_allclose(np.ptp(pole, axis=0)[0], 50, atol=3)
  assert pole[:, 0].max() <= cart[:, 0].min() + 2


def test_heavier_carts_and_poles_are_larger():
  carts = classic_control.CartPoleMass(1, 1)
  sizes = np.array(
    [
      [len(_pixels(image, colour)) for colour in (_BLUE, _RED)]
      for image in (
        _render(carts, task, [0, 0, 0, 0], 520, 520)
        for task in ([0.5, 0.05], [2, 0.05], [0.5, 0.2])
      )
    ]
  )
  np.testing.assert_allclose(sizes[:, 0] / sizes[0, 0], [1, 4, 1], rtol=0.15)
  np.testing.assert_allclose(sizes[:, 1] / sizes[0, 1], [1, 1, 4], rtol=0.3)


def test_extreme_masses_are_drawn():
  pendulum = classic_control.PendulumMass(1, 1)
  carts = classic_control.CartPoleMass(1, 1)
  for mass in (1e-6, 1e30):
    _pixels(_render(pendulum, mass, [0, 0]), _BLUE)
    _pixels(_render(carts, [mass, mass], [0, 0, 0, 0]), _BLUE)


def test_render_states_are_the_states():
  for environment in (
    classic_control.PendulumMass(1, 2),
    classic_control.CartPoleMass(1, 2),
  ):
    environment.reset()
    np.testing.assert_array_equal(environment.render_state(), environment.state)
