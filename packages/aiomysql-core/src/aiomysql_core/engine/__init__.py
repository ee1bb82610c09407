"""What runs commands: the runner, what cursors begin as, and how a statement is cancelled."""

__all__ = ["runner", "runner_state"]
