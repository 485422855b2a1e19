"""The steps of score, from matching maps to masks to writing the report."""
