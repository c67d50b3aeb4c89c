"""Image servers that speak the AARTFAAC image protocol, for tests and demos."""
