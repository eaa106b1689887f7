"""A task before and after adaptation, filmed."""
