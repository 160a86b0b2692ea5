# The gateway with its command line, and nothing else. Needs no BuildKit.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
# What builds wheels is locked, too, and stays behind in this stage.
COPY requirements-build.lock ./
RUN python -m venv tools && tools/bin/pip install --require-hashes --no-deps -r requirements-build.lock
COPY requirements.lock ./
RUN tools/bin/pip wheel --require-hashes --no-deps --no-build-isolation -w wheels -r requirements.lock
COPY pyproject.toml README.md ./
COPY gateway gateway
RUN tools/bin/pip wheel --no-deps --no-build-isolation -w wheels . \
 && python -m venv --without-pip /opt/gateway \
 && tools/bin/pip --python /opt/gateway/bin/python install --no-index --no-deps wheels/*.whl

FROM python:3.11-slim-bookworm
# A number, so that whoever runs it can tell that this is not root.
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin gateway
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 GATEWAY_HOST=0.0.0.0 GATEWAY_PORT=8080
USER 10001
WORKDIR /tmp
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s CMD ["python", "-Ic", "import http.client, os, sys; \
  asked = http.client.HTTPConnection('127.0.0.1', int(os.environ['GATEWAY_PORT']), timeout=4); \
  asked.request('GET', '/healthz'); sys.exit(asked.getresponse().status != 200)"]
ENTRYPOINT ["gateway"]
CMD ["serve"]
