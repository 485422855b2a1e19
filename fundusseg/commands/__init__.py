"""What each command does, one module or folder for each."""
