# mmsearch in the browser, for a server or a NAS; docs/serve.md tells how it is built and run.
FROM python:3.13-slim-bookworm AS built
# hnswlib comes as source; any compiler of that system will do.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY mmsearch mmsearch
# Else hnswlib would be built for the processor that builds the image, and for no other.
ENV HNSWLIB_NO_NATIVE=1
RUN python -m venv /opt/mmsearch \
    && /opt/mmsearch/bin/pip install --no-cache-dir '.[serve,video,postgres]'

FROM python:3.13-slim-bookworm
COPY --from=built /opt/mmsearch /opt/mmsearch
# The library, its token and small pictures lie in /data; photos are mounted where one likes, read-only.
RUN useradd --uid 1000 --create-home mmsearch \
    && install --directory --mode 700 --owner mmsearch --group mmsearch /data
ENV PATH=/opt/mmsearch/bin:$PATH MMSEARCH_LIBRARY=/data/library XDG_CACHE_HOME=/data/cache
USER 1000
VOLUME /data
EXPOSE 8470
HEALTHCHECK --interval=1m --timeout=10s --start-period=30s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8470/health', timeout=5)"]
ENTRYPOINT ["mmsearch"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8470", "--token-file", "/data/token", "--no-open", "--watch"]
