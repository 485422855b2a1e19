"""measure: what the vessels of maps say, in units."""
