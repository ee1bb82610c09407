"""What runs commands: the runner, cancellation, time-outs, and what tasks wait for."""
