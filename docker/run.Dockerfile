# Runs styles: for shards, Kubernetes and Ray. From the project's root:
#     docker build -f docker/run.Dockerfile -t fast-style .
#     docker run --rm -v "$PWD:/work" fast-style stylize photos -s starry-night -o stylized
FROM python:3.12-slim
COPY pyproject.toml README.md LICENSE /src/
COPY fast_style /src/fast_style
COPY checkpoints /src/checkpoints
RUN pip install --no-cache-dir '/src[ray]' && rm -rf /src && useradd --create-home style
USER style
WORKDIR /work
ENTRYPOINT ["fast-style"]
