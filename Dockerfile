FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /app
RUN useradd --uid 1000 app

# The dependencies are a layer of their own: it is built again when they change, not with every line of code.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN mkdir fast_graph \
    && touch fast_graph/__init__.py \
    && pip install -c constraints.txt . \
    && pip uninstall --yes fast-graph

COPY . .
RUN pip install --no-deps .

USER app
EXPOSE 8000

# A worker serves no HTTP: switch this off where one is started from this image.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ok', timeout=2)"]

# The process is the first of its container and ends its own children, so nothing has to stand before it.
STOPSIGNAL SIGTERM
CMD ["fast-graph", "serve", "server:app", "--host", "0.0.0.0"]
