# The gateway with its command line. BuildKit is not needed.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
# The build tools are pinned too, and are not part of the final image.
COPY requirements-build.lock ./
RUN python -m venv tools && tools/bin/pip install --require-hashes --no-deps -r requirements-build.lock
COPY requirements.lock ./
RUN tools/bin/pip wheel --require-hashes --no-deps --no-build-isolation -w wheels -r requirements.lock
# The pages of the explorer. Node trusts the same certificates as pip.
COPY explorer explorer
RUN NODE_OPTIONS=--use-system-ca tools/bin/python explorer/build.py
COPY pyproject.toml README.md ./
COPY gateway gateway
RUN tools/bin/pip wheel --no-deps --no-build-isolation -w wheels . \
 && python -m venv --without-pip /opt/gateway \
 && tools/bin/pip --python /opt/gateway/bin/python install --no-index --no-deps wheels/*.whl

FROM ${PYTHON_IMAGE}
# A numeric user id lets the container runtime verify that the user is not root.
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gateway
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 GATEWAY_HOST=0.0.0.0 GATEWAY_PORT=8080
USER 10001
WORKDIR /tmp
EXPOSE 8080
# Liveness, not readiness: restarting the gateway does not help while Druid or the database is down.
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s CMD ["python", "-Ic", "import http.client, os, sys; \
  gateway = http.client.HTTPConnection('127.0.0.1', int(os.environ['GATEWAY_PORT']), timeout=4); \
  gateway.request('GET', '/healthz'); sys.exit(gateway.getresponse().status != 200)"]
ENTRYPOINT ["gateway"]
CMD ["serve"]
