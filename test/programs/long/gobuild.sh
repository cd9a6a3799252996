# source
# This project, built in its own sandbox: byte for byte what it is elsewhere; vetted; some of its tests.
set -u
export PATH=/usr/local/go/bin:$PATH GOFLAGS='-buildvcs=false -trimpath' GOPROXY=off GOSUMDB=off GOTOOLCHAIN=local GOCACHE=/root/cache GOTMPDIR=/root CGO_ENABLED=0
cp -r /src/go.mod /src/go.sum /src/LICENSE /src/platform /src/sentry /src/syscalls /src/fs /src/gofer /src/runsc /src/test "$(mktemp -d -p /root)"
cd /root/tmp.*
go version
go list ./... | wc -l
go build -ldflags '-s -w' -o out/ ./runsc ./runsc/runsc-gofer ./runsc/runsc-sentry; echo "build gave $?"
sha256sum out/*
go vet ./runsc/... ./sentry/...; echo "vet gave $?"
gofmt -l sentry fs syscalls | wc -l
echo x >>sentry/interval/interval.go; go build ./sentry/interval 2>&1; echo "gave $?"
cp /src/sentry/interval/interval.go sentry/interval/
go build -ldflags '-s -w' -o again ./runsc/runsc-sentry && cmp again out/runsc-sentry && echo again
go test -count=1 ./sentry/interval ./sentry/list ./sentry/usermem ./sentry/seccomp ./sentry/lock 2>&1 | sed 's/\t[0-9.]*s//'
out/runsc --version
(cd "$(mktemp -d)" && printf 'package main\n\nfunc main() { println("hello") }\n' >m.go && go run m.go 2>&1)
