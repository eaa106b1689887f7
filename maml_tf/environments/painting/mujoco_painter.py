"""Pictures of a MuJoCo body, drawn without a display."""

import copy

import mujoco
import numpy as np

from maml_tf.environments.painting import headless_graphics
from maml_tf.environments.painting import painter


class MujocoPainter(painter.Painter):
  """Draws physics states as seen by the model's first camera.

  This is what `mujoco.Renderer` does, with an OpenGL library that is chosen
  when the first picture is wanted and not when MuJoCo is imported.
  """

  def __init__(self, model: mujoco.MjModel, width: int, height: int):
    """Makes the OpenGL context and sends it the model.

    Args:
      model: The body.
      width: Pixels from left to right.
      height: Pixels from above to below.

    Raises:
      errors.UsageError: Nothing on this machine can draw.
    """
    model = copy.copy(model)
    model.vis.global_.offwidth = max(width, model.vis.global_.offwidth)
    model.vis.global_.offheight = max(height, model.vis.global_.offheight)
    self._model = model
    self._data = mujoco.MjData(model)
    self._gl_context = headless_graphics.create_context(width, height)
    self._context = mujoco.MjrContext(
      model, mujoco.mjtFontScale.mjFONTSCALE_100.value
    )
    mujoco.mjr_setBuffer(
      mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context
    )
    self._rectangle = mujoco.MjrRect(0, 0, width, height)
    self._scene = mujoco.MjvScene(model, maxgeom=10000)
    self._options = mujoco.MjvOption()
    self._camera = mujoco.MjvCamera()
    if model.ncam:
      self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
      self._camera.fixedcamid = 0
    else:
      mujoco.mjv_defaultFreeCamera(model, self._camera)

  def __call__(self, states: np.ndarray) -> np.ndarray:
    mujoco.mj_setState(
      self._model,
      self._data,
      states[-1],
      mujoco.mjtState.mjSTATE_FULLPHYSICS.value,
    )
    mujoco.mj_forward(self._model, self._data)
    mujoco.mjv_updateScene(
      self._model,
      self._data,
      self._options,
      None,
      self._camera,
      mujoco.mjtCatBit.mjCAT_ALL.value,
      self._scene,
    )
    self._gl_context.make_current()
    mujoco.mjr_render(self._rectangle, self._scene, self._context)
    picture = np.empty(
      (self._rectangle.height, self._rectangle.width, 3), np.uint8
    )
    mujoco.mjr_readPixels(picture, None, self._rectangle, self._context)
    # OpenGL counts rows from below.
    return picture[::-1].copy()

  def close(self) -> None:
    self._gl_context.make_current()
    self._context.free()
    self._gl_context.free()
