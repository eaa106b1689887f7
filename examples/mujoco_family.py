"""A MuJoCo family: a puck whose motors are mounted at an unknown angle.

  python -m maml_tf.train --gin_file=mujoco_family.gin

Run it in this folder. The body is the XML below. A task changes numbers of its
model: the directions of the motors and the mass. MuJoCo steps all N rows on all
cores. `docs/own_tasks.md` explains it.
"""

import numpy as np

from maml_tf.environments import mujoco_body

_XML = """
<mujoco model="puck">
  <option timestep="0.02"/>
  <worldbody>
    <light pos="0 0 4"/>
    <camera pos="0 0 4"/>
    <geom type="plane" size="2 2 0.1" rgba="0.9 0.9 0.9 1"/>
    <site pos="1 0 0" size="0.1" rgba="0.8 0.2 0.2 1"/>
    <body name="puck" pos="0 0 0.1">
      <joint type="slide" axis="1 0 0" damping="1"/>
      <joint type="slide" axis="0 1 0" damping="1"/>
      <geom type="cylinder" size="0.1 0.05" mass="1" contype="0"/>
      <site name="hub"/>
    </body>
  </worldbody>
  <actuator>
    <motor site="hub" gear="1 0 0 0 0 0" ctrlrange="-1 1"/>
    <motor site="hub" gear="0 1 0 0 0 0" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""

# The target, the red site of the XML [m].
_TARGET = np.array([1.0, 0.0])


def change_model(model, task):
  """Turns the motors by task[0] [rad] and sets the mass to task[1] [kg]."""
  angle, mass = task
  cos, sin = np.cos(angle), np.sin(angle)
  model.actuator_gear[:, :2] = [[cos, sin], [-sin, cos]]
  puck = model.body('puck').id
  model.body_inertia[puck] *= mass / model.body_mass[puck]
  model.body_mass[puck] = mass


class MiswiredPuck(mujoco_body.MujocoBody):
  """The task is (angle [rad], mass [kg]); the reward is minus the distance.

  Observations are position [m] and velocity [m/s]. A step takes 0.1 s.
  """

  def __init__(self, num_tasks=20, environments_per_task=10, horizon=30):
    super().__init__(
      _XML,
      frame_skip=5,
      num_observations=4,
      task_shape=(2,),
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
      reset_noise_scale=0.05,
      change_model=change_model,
    )

  def sample_tasks(self, n, rng):
    return rng.uniform([-np.pi, 0.5], [np.pi, 2.0], (n, 2))

  def _check_tasks(self, tasks):
    if (tasks[:, 1] <= 0).any():
      raise ValueError('masses must be positive: give (angle, mass)')

  def _observation(self):
    physics = self._physics
    return np.concatenate([physics.qpos, physics.qvel], 1, dtype=np.float32)

  def _advance(self, action):
    self._physics.step(action)
    distance = np.linalg.norm(self._physics.qpos - _TARGET, axis=1)
    terminated = np.zeros(self.batch_size, bool)
    return self._observation(), -distance.astype(np.float32), terminated
