"""Kubernetes' and Prometheus' own tools look at what helm makes of the chart: `make test-chart`."""

import pytest

from tests.support.chart import VARIANTS


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """Each set of values in ci/."""
    return request.param
