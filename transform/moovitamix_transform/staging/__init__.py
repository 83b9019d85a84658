"""From raw records to the latest good row per key."""
