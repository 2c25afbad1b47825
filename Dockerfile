# Santral in a small image. The configuration is mounted at /etc/santral/santral.toml, with `listen = ":8080"` and
# `data_dir = "/data"`; secrets come from the environment. See docs/running.md.

FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1
WORKDIR /src
COPY requirements.lock requirements-dev.lock ./
# Every package is checked against its hash, those that build ours too: they are taken from the other lock.
RUN awk '/^[a-z]/ { keep = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/ } keep' \
        requirements-dev.lock > build.lock \
    && python -m venv /opt/build && /opt/build/bin/pip install --quiet --require-hashes -r build.lock \
    && python -m venv /opt/santral && /opt/santral/bin/pip install --quiet --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY channels channels
COPY inbox inbox
COPY routing routing
COPY templates templates
COPY desk desk
COPY bot bot
COPY commerce commerce
COPY insights insights
COPY app app
COPY sandbox sandbox
RUN /opt/build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/santral/bin/pip install --quiet --no-deps --no-index /wheels/*.whl \
    && /opt/santral/bin/pip uninstall --quiet --yes pip

FROM python:3.12-slim
COPY --from=build /opt/santral /opt/santral
RUN useradd --system --uid 10001 --user-group --home-dir /data --no-create-home santral \
    && mkdir -p /data /etc/santral && chown santral:santral /data
ENV PATH=/opt/santral/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    SANTRAL_CONFIG=/etc/santral/santral.toml
WORKDIR /data
USER santral
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 CMD ["python", "-c", "import http.client, sys; line = http.client.HTTPConnection('127.0.0.1', 8080, timeout=4); line.request('GET', '/health/live'); sys.exit(line.getresponse().status != 200)"]
ENTRYPOINT ["santral"]
CMD ["serve"]
