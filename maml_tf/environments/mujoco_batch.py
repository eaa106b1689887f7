"""Many copies of MuJoCo models, stepped together on all cores.

The physics runs in `mujoco.rollout`'s persistent pool of threads, outside
Python: https://mujoco.readthedocs.io/en/stable/python.html#rollout
"""

from absl import logging
import mujoco
from mujoco import rollout
import numpy as np

from maml_tf.core import cpu


class MujocoBatch:
  """The states of N rows of MuJoCo physics and the pool that advances them.

  A row's next state depends on its state and control alone: not on the number
  of threads, not on the other rows. The solver starts cold at every `step`.

  A state is MuJoCo's FULLPHYSICS vector: time [s], qpos, qvel, activations.
  Arrays handed out are read-only snapshots: later steps leave them as they are.

  Where positions, velocities or accelerations are not finite, or beyond 1e10,
  MuJoCo takes the simulation to be unstable, warns, and starts it anew at the
  model's default pose. Such a row keeps its last state, and `unstable` says so.
  """

  def __init__(self, model, num_rows=None, frame_skip=1, num_threads=None):
    """Starts the pool, with every row at its model's default pose.

    Args:
      model: One `MjModel` for all rows, or a list of N models, one a row, which
        differ in numbers (masses, sizes, gains) but not in structure.
      num_rows: N. Needed with one model, left out with a list.
      frame_skip: How many physics steps one call of `step` holds a control.
      num_threads: Threads of the pool; by default, as many as there are
        processors that this process may use.

    Raises:
      ValueError: If the models' structures differ or `num_rows` is missing or
        contradicts the list.
    """
    route_warnings()
    if isinstance(model, mujoco.MjModel):
      if num_rows is None:
        raise ValueError('num_rows is missing: with one model, give it')
      self._models = [model] * num_rows
    else:
      self._models = list(model)
      if num_rows is not None and num_rows != len(self._models):
        raise ValueError(
          f'num_rows is {num_rows}, but there are {len(self._models)} models: '
          'give one model a row'
        )
    self._nq, self._nv, self._na, self._nu = _sizes(self._models[0])
    for row, other in enumerate(self._models):
      if _sizes(other) != _sizes(self._models[0]):
        raise ValueError(
          f"model {row} has sizes (nq, nv, na, nu) {_sizes(other)}, model 0's "
          f'are {_sizes(self._models[0])}: give models of one structure'
        )

    self._frame_skip = frame_skip
    self._timesteps = np.array([m.opt.timestep for m in self._models])
    self._unstable = np.zeros(self.num_rows, bool)
    self._num_threads = num_threads or cpu.count()
    self._rollout = rollout.Rollout(nthread=self._num_threads)
    self._datas = [
      mujoco.MjData(self._models[0]) for _ in range(self._num_threads)
    ]
    num_state = mujoco.mj_stateSize(
      self._models[0], mujoco.mjtState.mjSTATE_FULLPHYSICS.value
    )
    self._state = np.zeros((self.num_rows, num_state))
    # The rollout reads and writes these at every step.
    self._controls = np.zeros((self.num_rows, frame_skip, self._nu))
    self._substates = np.zeros((self.num_rows, frame_skip, num_state))
    self.set_state(
      np.stack([row_model.qpos0 for row_model in self._models]),
      np.zeros((self.num_rows, self._nv)),
    )

  @property
  def num_rows(self):
    """N, the number of rows."""
    return len(self._models)

  @property
  def models(self):
    """The rows' models, a list of N."""
    return self._models

  @property
  def num_threads(self):
    """The number of threads in the pool."""
    return self._num_threads

  @property
  def state(self):
    """The rows' physics states, float64 [N, 1 + nq + nv + na]."""
    return self._state

  @property
  def qpos(self):
    """The rows' generalised positions [m, rad], float64 [N, nq]."""
    return self._state[:, 1 : 1 + self._nq]

  @property
  def qvel(self):
    """The rows' generalised velocities [m/s, rad/s], float64 [N, nv]."""
    return self._state[:, 1 + self._nq : 1 + self._nq + self._nv]

  @property
  def unstable(self):
    """Which rows the last `step` could not advance, bool [N]."""
    return self._unstable

  def set_state(self, qpos, qvel, rows=slice(None)):
    """Puts rows at given positions and velocities, with time zero.

    Args:
      qpos: A float array [K, nq].
      qvel: A float array [K, nv].
      rows: Which rows: an index array [K]; by default all.
    """
    state = self._state.copy()
    state[rows] = 0
    state[rows, 1 : 1 + self._nq] = qpos
    state[rows, 1 + self._nq : 1 + self._nq + self._nv] = qvel
    self._keep(state)

  def step(self, controls):
    """Advances every row by `frame_skip` physics steps.

    Args:
      controls: A float array [N, nu]; MuJoCo clamps it to the actuators'
        control ranges. It takes a row's controls for zeros if one of them is
        not finite: that is no instability.
    """
    if self._rollout is None:
      raise RuntimeError('this MujocoBatch is closed: make a new one')
    self._controls[:] = controls[:, np.newaxis]
    # A row that MuJoCo starts anew shows the time of its first step. To tell it
    # from others, no row may begin before that time.
    start = self._state.copy()
    start[:, 0] = np.maximum(start[:, 0], self._timesteps)
    self._rollout.rollout(
      self._models,
      self._datas,
      start,
      self._controls,
      skip_checks=True,
      nstep=self._frame_skip,
      state=self._substates,
    )
    state = self._substates[:, -1].copy()
    unstable = state[:, 0] <= start[:, 0]
    # The time as MuJoCo adds it up, to the last bit.
    state[:, 0] = self._state[:, 0]
    for _ in range(self._frame_skip):
      state[:, 0] += self._timesteps
    if unstable.any():
      state[unstable] = self._state[unstable]
    unstable.flags.writeable = False
    self._unstable = unstable
    self._keep(state)

  def close(self):
    """Ends the threads."""
    if self._rollout is not None:
      self._rollout.close()
      self._rollout = None

  def _keep(self, state):
    state.flags.writeable = False
    self._state = state


def load_model(path):
  """Reads an `MjModel` from an XML file, with warnings going to the log."""
  route_warnings()
  return mujoco.MjModel.from_xml_path(path)


def route_warnings():
  """Sends MuJoCo's warnings to absl's log, unless a handler is set already.

  MuJoCo itself writes each into MUJOCO_LOG.TXT in the working directory.
  """
  if mujoco.get_mju_user_warning() is None:
    mujoco.set_mju_user_warning(_log_warning)


def _log_warning(message):
  # Gymnasium's model files use this attribute: nothing a user could mend.
  if 'settotalmass' not in message:
    # Every row of an unstable simulation warns at every step.
    logging.log_every_n_seconds(logging.WARNING, 'MuJoCo: %s', 1, message)


def _sizes(model):
  return model.nq, model.nv, model.na, model.nu
