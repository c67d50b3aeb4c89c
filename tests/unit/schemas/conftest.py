"""Settings of hypothesis: a busy machine is no reason to fail."""

from hypothesis import HealthCheck, settings

settings.register_profile("trapline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("trapline")
