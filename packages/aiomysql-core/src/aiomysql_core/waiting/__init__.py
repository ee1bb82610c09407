"""What tasks await, and for how long."""

__all__ = ["awaitable", "ready", "timeouts", "unawaited", "waiter"]
