# The service, in a small image without a shell's worth of privileges: no root, nothing to write to.

FROM rust:1.94-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# Dependencies first, in a layer that stays until Cargo.lock changes.
COPY Cargo.toml Cargo.lock build.rs ./
COPY loadtest/Cargo.toml loadtest/
COPY loadtest/phone/Cargo.toml loadtest/phone/
RUN mkdir src tests tests/it loadtest/src loadtest/phone/src \
    && echo 'fn main() {}' | tee src/main.rs > tests/it/main.rs \
    && touch src/lib.rs loadtest/src/lib.rs loadtest/phone/src/lib.rs \
    && cargo build --locked --release \
    && rm -r src
COPY config config
COPY migrations migrations
COPY miniprogram/web/dist miniprogram/web/dist
COPY src src
# Newer than what was built of the empty sources.
RUN touch src/main.rs src/lib.rs && cargo build --locked --release

FROM debian:bookworm-slim
ARG REVISION=unknown
LABEL org.opencontainers.image.title="imserver" \
      org.opencontainers.image.description="Real-time chat for WeChat mini programs" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.revision="$REVISION"
# Certificates, for WeChat's API and for a Postgres that is reached over TLS.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
# For pictures, voice and files: a volume that is mounted here is the service's own.
RUN install -d -o 65532 -g 65532 /var/lib/imserver/media
COPY --from=build /build/target/release/imserver /usr/local/bin/imserver
COPY config/production.toml /etc/imserver/config.toml
ENV IMSERVER_CONFIG=/etc/imserver/config.toml
USER 65532:65532
EXPOSE 8080 9090
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
    CMD ["imserver", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["imserver"]
CMD ["serve"]
