# The hashmatch service as an image. The first stage has the network and makes wheels; the second installs them without
# it. deploy/image/build.sh builds this with docker, podman or buildah, deploy/image/check.sh proves the result,
# docs/guide/deploy.md says how to run it and docs/adr/0007-image.md why it is shaped so.

# Any Debian-like image with `python3 -m venv` (Python >= 3.11); pin it by digest for a build that can be repeated:
# --build-arg BASE=python:3.13-slim-trixie@sha256:...
ARG BASE=python:3.13-slim-trixie

# hadolint ignore=DL3006
FROM ${BASE} AS wheels
# Zip members carry this time, so that equal sources make equal wheels; build.sh passes the time of the commit.
ARG SOURCE_DATE_EPOCH=1577836800
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python3 -m venv pip && pip/bin/pip install --quiet setuptools==84.2.1
# Dependencies before sources: this layer survives every change that touches neither file.
COPY pyproject.toml constraints.txt ./
RUN python3 -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
      print(*project["dependencies"], *project["optional-dependencies"]["postgres"], sep="\n")' > requirements.txt \
    && pip/bin/pip wheel --quiet --only-binary :all: -c constraints.txt -r requirements.txt --wheel-dir wheels
COPY README.md LICENSE ./
COPY hashmatch hashmatch
RUN pip/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheels .
COPY deploy/image/baked_kernels.py deploy/image/ready.py ./

# hadolint ignore=DL3006
FROM ${BASE}
# Fixed numbers, so that the owner of a mounted volume can be arranged before the first start.
RUN groupadd --gid 10001 hashmatch \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin hashmatch \
    && install -d -o hashmatch -g hashmatch -m 0700 /data

# The CPU that the kernels are compiled for. Not the builder's own: an image outlives the machine that built it, and
# kernels for another CPU are no kernels. x86-64-v3 is every x86 server since 2013; Arm wants `neoverse-n1` or `generic`.
# SQLITE_TMPDIR: an import keeps its rows in a temporary file, for which a /tmp in memory is too small.
ARG KERNEL_CPU=x86-64-v3
ENV PATH=/opt/hashmatch/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/opt/hashmatch/kernels \
    NUMBA_CPU_NAME=${KERNEL_CPU} \
    NUMBA_CPU_FEATURES="" \
    HASHMATCH_DATA=/data \
    SQLITE_TMPDIR=/data

# pip comes from the first stage and stays there: the service's environment holds no installer. --no-index: whatever is
# missing among the wheels stops the build here. SOURCE_DATE_EPOCH makes bytecode that is checked by hash, not by time.
ARG SOURCE_DATE_EPOCH=1577836800
RUN --mount=type=bind,from=wheels,source=/build,target=/build \
    python3 -m venv --without-pip /opt/hashmatch \
    && /build/pip/bin/pip --python /opt/hashmatch/bin/python --disable-pip-version-check --no-cache-dir \
         install --quiet --no-index --find-links /build/wheels --root-user-action ignore 'hashmatch[postgres]' \
    && install -m 0644 /build/baked_kernels.py \
         "$(/opt/hashmatch/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
    && install -m 0644 /build/ready.py /opt/hashmatch \
    && /opt/hashmatch/bin/python -m hashmatch.kernels \
    && chmod -R a+rX,go-w /opt/hashmatch
# From here on compiled kernels are read, never written: whoever takes over the service cannot leave machine code behind.
ENV NUMBA_CACHE_LOCATOR_CLASSES=baked_kernels.BakedKernels

ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="hashmatch" \
      org.opencontainers.image.description="A matching engine for known abuse material: an image in over gRPC, a match report out, the image never stored." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 50051
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "/opt/hashmatch/ready.py", "127.0.0.1:50051"]
ENTRYPOINT ["hashmatch"]
# A container's loopback is of no use to anyone else; the service refuses another address until told that the network
# around it is trusted (server.allow_insecure_remote), which deploy/compose/compose.yaml does and this image does not.
CMD ["serve", "--listen", "0.0.0.0:50051"]
