"""Videos of a task before and after adaptation."""
