# docker build --tag keylodge .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH make build VERSION=$VERSION
RUN install -d -m 700 data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/bin/keylodge /keylodge
COPY --from=build --chown=65532:65532 /src/data /data
USER 65532:65532
WORKDIR /data
VOLUME /data
ENV KEYLODGE_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/keylodge", "healthcheck"]
ENTRYPOINT ["/keylodge"]
