# Worker with an NVIDIA GPU: training and poses. torch brings its CUDA libraries, the host brings the driver
# (NVIDIA Container Toolkit), so that no CUDA base image is needed.
FROM python:3.12.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY docker/install.sh docker/
COPY compute compute
COPY schemas schemas
COPY ingest ingest
COPY pipeline pipeline
COPY orofacial orofacial
RUN docker/install.sh python /opt/orofacial sleap

FROM python:3.12.11-slim-bookworm
COPY docker/install.sh /tmp/docker/
RUN /tmp/docker/install.sh system \
    && rm -r /tmp/docker \
    && useradd --uid 1000 --create-home orofacial \
    && install -d -o orofacial -g orofacial /data
COPY --from=build /opt/orofacial /opt/orofacial
ENV PATH=/opt/orofacial/bin:$PATH \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    OMP_NUM_THREADS=1 \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    NUMBA_CACHE_DIR=/tmp/numba \
    OROFACIAL_DATA_FOLDER=/data
USER 1000
WORKDIR /data
VOLUME /data
ENTRYPOINT ["orofacial"]
CMD ["work", "--gpu"]
