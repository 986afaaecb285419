"""What the verbs show on the terminal."""
