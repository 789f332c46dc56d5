# The worker and the starter: two static programs and the certificates that HTTPS
# needs. No shell, no package manager, nothing else.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# containers/rootfs_test.go runs the commands that make /image.
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /image/usr/local/bin/ ./worker ./starter
RUN mkdir -p -m 1777 /image/tmp && mkdir -p /image/etc/ssl/certs /image/data && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/

FROM scratch
COPY --from=build /image /
ENV PATH=/usr/local/bin HOME=/ SOURCE_ROOTS=/data
USER 65532:65532
CMD ["worker"]
