"""What the entry points call: configuration to objects, and whole runs."""
