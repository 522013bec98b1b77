# Worker without a GPU: filters, distances, quality, ingesting. With --build-arg EXTRAS=sleap poses too, slowly.
FROM python:3.12.11-slim-bookworm AS build
ARG EXTRAS=formats
# For EXTRAS=sleap: builds of torch without CUDA; empty: those from PyPI, 5 GB more.
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY docker/install.sh docker/
COPY compute compute
COPY schemas schemas
COPY ingest ingest
COPY pipeline pipeline
COPY orofacial orofacial
RUN TORCH_INDEX_URL="$TORCH_INDEX_URL" docker/install.sh python /opt/orofacial "$EXTRAS"

FROM python:3.12.11-slim-bookworm
COPY docker/install.sh /tmp/docker/
RUN /tmp/docker/install.sh system \
    && rm -r /tmp/docker \
    && useradd --uid 1000 --create-home orofacial \
    && install -d -o orofacial -g orofacial /data
COPY --from=build /opt/orofacial /opt/orofacial
ENV PATH=/opt/orofacial/bin:$PATH \
    OMP_NUM_THREADS=1 \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    NUMBA_CACHE_DIR=/tmp/numba \
    OROFACIAL_DATA_FOLDER=/data
USER 1000
WORKDIR /data
VOLUME /data
ENTRYPOINT ["orofacial"]
CMD ["work", "--cpu"]
