"""Phrases that reports share, such as '3 runs' and 'after 1 step'."""


def count(number: int, noun: str, plural: str = 's') -> str:
  """Returns a number of things: '1 run', '2 runs'."""
  return f'{number} {noun}' + plural * (number != 1)


def after_steps(step: int) -> str:
  """Returns what a legend calls an adaptation step."""
  return f'after {count(step, "step")}' if step else 'before adaptation'
