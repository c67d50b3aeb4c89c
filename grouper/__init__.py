"""raw -> groups: assembles timestamp groups and publishes them exactly once."""
