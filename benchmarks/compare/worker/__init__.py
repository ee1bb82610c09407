"""The measured side: runs in a contender's environment, and needs nothing but its driver."""
