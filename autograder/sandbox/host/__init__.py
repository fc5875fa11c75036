"""The trusted side of the sandbox: it asks, limits, and never imports `guest`."""
