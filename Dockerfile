# One image with the programs of Layers: gateway, ledger, projector, and the stand-in provider.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# .sqlx holds what the database says about the queries: no database is needed to compile.
ENV SQLX_OFFLINE=true
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p gateway -p ledger -p projector -p simulator --bins \
    && mkdir /out \
    && cp target/release/gateway target/release/ledger target/release/projector target/release/simulator /out/

FROM debian:bookworm-slim
# curl asks for health; certificates are for the provider's HTTPS.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home layers
COPY --from=build /out/ /usr/local/bin/
USER layers
CMD ["gateway"]
