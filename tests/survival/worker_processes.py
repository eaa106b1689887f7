"""Processes that are the workers of one run on loopback."""

import json
import socket

from tests.survival import trained_process


def environments(count):
  """Returns the environment variables of each worker."""
  addresses = [f'127.0.0.1:{port}' for port in _free_ports(count)]
  return [
    {
      'TF_CONFIG': json.dumps(
        {
          'cluster': {'worker': addresses},
          'task': {'type': 'worker', 'index': index},
        }
      )
    }
    for index in range(count)
  ]


def start(root_dirs, arguments, num_iterations):
  """Starts a worker for each folder; the first one is the chief."""
  return [
    trained_process.start(
      root_dir,
      (*arguments, '--strategy=multi_worker'),
      num_iterations,
      variables,
    )
    for root_dir, variables in zip(root_dirs, environments(len(root_dirs)))
  ]


def finish(processes):
  """Waits for all workers; returns (exit code, lines of stderr) of each."""
  return [trained_process.finish(process) for process in processes]


def _free_ports(count):
  sockets = [socket.socket() for _ in range(count)]
  try:
    for each in sockets:
      each.bind(('127.0.0.1', 0))
    return [each.getsockname()[1] for each in sockets]
  finally:
    for each in sockets:
      each.close()
