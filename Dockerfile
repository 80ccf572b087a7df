# syntax=docker/dockerfile:1
# The service in a container. Targets: `service` (the default) judges with ONNX and has no PyTorch: about 0.7 GB;
# `training` has PyTorch's CPU build, for `yujing train`.

ARG PYTHON_TAG=3.11.13-slim-bookworm

FROM python:${PYTHON_TAG} AS build
# The same as in the Makefile.
ARG UV_VERSION=0.13.9
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
RUN python -m pip install --no-cache-dir --disable-pip-version-check uv==${UV_VERSION} \
  && uv venv --python python3 /opt/yujing
WORKDIR /src
COPY setup.cfg pyproject.toml README.md LICENSE requirements.lock ./
COPY deploy/compose/training-only.txt deploy/compose/
# The lock file's versions and hashes; what only training needs is left out.
RUN uv pip install --python /opt/yujing/bin/python --requirement setup.cfg --constraint requirements.lock \
    --excludes deploy/compose/training-only.txt
COPY alerts alerts
COPY app app
COPY config config
COPY crawlers crawlers
COPY deploy deploy
COPY domain domain
COPY monitor monitor
COPY nlp nlp
COPY response response
COPY store store
RUN uv pip install --python /opt/yujing/bin/python --no-deps .

FROM build AS build-training
# As `make TORCH=cpu`: PyTorch comes from its own index, the rest in the lock file's versions.
RUN sed -E '/^ *--hash/d; s/ *\\$//; /^(torch|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==/d' requirements.lock \
    > /tmp/constraints.txt \
  && uv pip install --python /opt/yujing/bin/python --torch-backend cpu --constraint /tmp/constraints.txt \
    --requirement setup.cfg

FROM python:${PYTHON_TAG} AS base
LABEL org.opencontainers.image.title="Yujing" \
  org.opencontainers.image.description="Early warning and crisis response for an internet-finance platform" \
  org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 yujing \
  && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin yujing \
  && install --directory --mode=0700 --owner=10001 --group=10001 /var/lib/yujing
# HOME: libraries keep caches there, and the root file system may be read-only.
ENV PATH=/opt/yujing/bin:$PATH HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib YUJING_HOME=/var/lib/yujing \
  PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/yujing
# Process 1 reaps nothing: run with an init (`docker run --init`, `init: true`).
ENTRYPOINT ["yujing"]
CMD ["--help"]

FROM base AS training
COPY --from=build-training /opt/yujing /opt/yujing

FROM base AS service
COPY --from=build /opt/yujing /opt/yujing
