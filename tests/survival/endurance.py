"""Measures the memory, files and threads of a process over 300 iterations.

  python -m tests.survival.endurance --iterations=300

Prints the figures after every 50 iterations of a run on points.
"""

import maml_tf  # isort: skip  Before TensorFlow, which it quiets.

import argparse
import os
import threading
from typing import NamedTuple

from maml_tf.core import cpu
from maml_tf.environments import point_navigation
from tests import point_agent


class Usage(NamedTuple):
  """The resources of a process.

  Attributes:
    megabytes: Resident memory.
    files: Open file descriptors.
    threads: Threads of the process, Python's and others.
  """

  megabytes: float
  files: int
  threads: int


def usage() -> Usage:
  """Reads this process's figures from /proc."""
  with open('/proc/self/statm', encoding='utf-8') as file:
    pages = int(file.read().split()[1])
  return Usage(
    pages * os.sysconf('SC_PAGE_SIZE') / 2**20,
    len(os.listdir('/proc/self/fd')),
    len(os.listdir('/proc/self/task')),
  )


def run(num_iterations: int, every: int, log=print) -> list[Usage]:
  """Collects and learns; returns the resources every `every` iterations."""
  environment = point_navigation.PointNavigation(4, 4, 10)
  agent = point_agent.create_agent(environment)
  collector = maml_tf.MetaCollector(
    environment, agent.collect_policy, agent.adapt, 1, seed=0
  )
  learner = maml_tf.MetaLearner(agent)
  measured = []
  for iteration in range(1, num_iterations + 1):
    learner.run(collector.collect(iteration).meta_batch)
    if iteration % every == 0:
      measured.append(usage())
      log(
        f'iteration {iteration}: {measured[-1].megabytes:.1f} MB,'
        f' {measured[-1].files} file descriptors,'
        f' {measured[-1].threads} threads'
        f' ({threading.active_count()} of Python)'
      )
  return measured


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--iterations', type=int, default=300)
  parser.add_argument('--every', type=int, default=50)
  flags = parser.parse_args()
  cpu.one_thread_an_operation()
  run(flags.iterations, flags.every)


if __name__ == '__main__':
  main()
