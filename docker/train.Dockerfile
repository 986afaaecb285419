# Trains styles, on a GPU if the host gives one. From the project's root:
#     docker build -f docker/train.Dockerfile -t fast-style-train .
#     docker run --rm --gpus all --shm-size 8g -v "$PWD:/work" fast-style-train train painting.jpg photos -o runs/mine
# Processes that decode photos hand them over in shared memory, of which Docker gives 64 MB unless told otherwise.
FROM python:3.12-slim
COPY pyproject.toml README.md LICENSE /src/
COPY fast_style /src/fast_style
COPY checkpoints /src/checkpoints
RUN pip install --no-cache-dir '/src[train]' && rm -rf /src && useradd --create-home style
USER style
WORKDIR /work
ENTRYPOINT ["fast-style"]
