"""Images of environments, rendered without a display."""
