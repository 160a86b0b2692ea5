# The gateway, its command line and nothing else. Needs no BuildKit.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/gateway
COPY requirements.lock ./
RUN /opt/gateway/bin/pip install --require-hashes --no-deps -r requirements.lock
# What builds the wheel is locked, too, and stays behind in this stage.
COPY requirements-dev.lock ./
RUN python -m venv tools && tools/bin/pip install --require-hashes -c requirements-dev.lock hatchling
COPY pyproject.toml README.md ./
COPY gateway gateway
RUN tools/bin/pip wheel --no-deps --no-build-isolation -w wheels . && /opt/gateway/bin/pip install --no-deps wheels/*.whl

FROM python:3.11-slim-bookworm
# Numbers, so that whoever runs it can tell that this is not root.
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gateway
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 GATEWAY_HOST=0.0.0.0 GATEWAY_PORT=8080
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"GATEWAY_PORT\"]}/readyz', timeout=4)"]
ENTRYPOINT ["gateway"]
CMD ["serve"]
