"""Runs as TensorBoard's own reader sees them."""

import pathlib

from tensorboard.backend.event_processing import event_file_loader
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.plugins.hparams import metadata as hparams_metadata
import tensorflow as tf


def hyper_parameters(folder):
  """Returns the hyper-parameters of each session in a folder's events.

  TensorBoard keeps the last one of several, so all events are read.
  """
  sessions = []
  for event in _events(folder):
    for value in event.summary.value:
      if value.tag == hparams_metadata.SESSION_START_INFO_TAG:
        content = value.metadata.plugin_data.content
        info = hparams_metadata.parse_session_start_info_plugin_data(content)
        sessions.append(
          {
            name: getattr(found, found.WhichOneof('kind'))
            for name, found in info.hparams.items()
          }
        )
  return sessions


def images(folder, tag):
  """Returns the step and the encoded picture of each image of a tag."""
  reader = plugin_event_accumulator.EventAccumulator(
    folder, size_guidance={plugin_event_accumulator.TENSORS: 0}
  )
  reader.Reload()
  assert tag in reader.PluginTagToContent('images')
  return [
    (event.step, tf.make_ndarray(event.tensor_proto)[2])
    for event in reader.Tensors(tag)
  ]


def _events(folder):
  for path in sorted(pathlib.Path(folder).glob('events.out.tfevents.*')):
    yield from event_file_loader.EventFileLoader(str(path)).Load()
