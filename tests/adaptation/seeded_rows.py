"""A program that adapts in a `ParallelPyEnvironment`: python seeded_rows.py.

TF-Agents starts processes only in programs that it handles. The program prints
the returns of two adaptations, and then the error of rows without a seed.
"""

from tf_agents.environments import parallel_py_environment
from tf_agents.environments import wrappers
from tf_agents.system import system_multiprocessing

import maml_tf
from tests import point_agent
from tests.adaptation import drawn_starts
from tests.environments.gymnasium_bridge import counted_episodes


def main(argv):
  del argv
  agent = point_agent.create_agent()
  rows = parallel_py_environment.ParallelPyEnvironment(
    [drawn_starts.DrawnStarts] * 2
  )
  for environment in (rows, wrappers.PyEnvironmentBaseWrapper(rows)):
    returns = maml_tf.adapt(agent, environment, 1, 2).returns
    print('returns', *returns.flatten().tolist())
  rows.close()
  rows = parallel_py_environment.ParallelPyEnvironment(
    [lambda: counted_episodes.CountedEpisodes((1,))]
  )
  try:
    maml_tf.adapt(agent, rows, num_steps=0)
  except ValueError as error:
    print('error', error)
  rows.close()


if __name__ == '__main__':
  system_multiprocessing.handle_main(main)
