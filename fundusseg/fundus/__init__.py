"""What is known of fundus photographs, as pure functions on arrays: no files, no network."""
