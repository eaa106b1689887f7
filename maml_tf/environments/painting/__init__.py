"""Pictures of environments, made without a display."""
