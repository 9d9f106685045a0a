# evenodds serve on CPUs: docker build -t evenodds . && docker run -v ./runs/digits-1:/served:ro -e EVENODDS_TOKEN=... evenodds
FROM python:3.12-slim-bookworm

# Wheels of PyTorch for CPUs are a tenth as large as those with CUDA.
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 EVENODDS_CACHE=/tmp/evenodds
WORKDIR /src
RUN pip install "torch>=2.6,<3" --index-url https://download.pytorch.org/whl/cpu
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
# hadolint ignore=DL3013
RUN pip install ".[serve,export]" \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin evenodds

USER 10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
# The token comes by the environment: without EVENODDS_TOKEN the server refuses to start on an address that others reach.
ENTRYPOINT ["evenodds", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["/served"]
