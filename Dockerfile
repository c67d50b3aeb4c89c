# syntax=docker/dockerfile:1
# The image of every Trapline process: `docker build -t trapline:0.1.0 .`
# No container engine runs where this is tested: tests/integration/image/ takes the same steps natively.
ARG PYTHON_VERSION=3.13

FROM python:${PYTHON_VERSION}-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY runtime runtime
COPY connector connector
COPY grouper grouper
COPY consumer consumer
COPY audit audit
COPY emulator emulator
COPY trapline trapline
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .
# Every dependency as a wheel: what would have to be compiled fails here, and not by its compiler's absence.
RUN python -m venv --without-pip /opt/trapline \
  && pip --python /opt/trapline/bin/python install --no-cache-dir --only-binary :all: /wheels/*.whl

FROM python:${PYTHON_VERSION}-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Trapline" \
      org.opencontainers.image.description="Radio-telescope image streams through Apache Kafka" \
      org.opencontainers.image.licenses="BSD-3-Clause" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/trapline /opt/trapline
# The root may be read-only: nothing is written but to TMPDIR, and to the spool where one is set.
ENV PATH=/opt/trapline/bin:$PATH \
    HOME=/tmp \
    TMPDIR=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /tmp
STOPSIGNAL SIGTERM
ENTRYPOINT ["trapline"]
CMD ["--help"]
