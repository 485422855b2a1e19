"""How bytes reach a disk and come back."""
