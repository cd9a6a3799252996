# Garrison. `make run` and `make test` do everything; the rest are their parts.
SHELL := /bin/bash
GO    ?= go
CACHE ?= /var/cache/garrison
ROOT  := $(CACHE)/bookworm
SUITES := $(CACHE)/suites
SERVERS := $(CACHE)/servers
CLIENTS := $(CACHE)/network

export CGO_ENABLED = 0
GOTEST = $(GO) run ./test/gotest --
BUILD = $(GO) build -trimpath -ldflags '-s -w'

PARTS = bench-micro bench-macro bench-start bench-memory bench-io

.PHONY: build run test check unit race lockcheck syscalls programs jobs-long suites files-short files oci crash validation docker test-docker test-containerd test-cri test-podman mutate stress bench $(PARTS) bench-loaded bench-network bench-smoke bench-report deps root suites-root servers-root clients-root clean needs-go needs-root

build: needs-go ## bin/runsc and the programs that it starts
	@mkdir -p bin
	$(BUILD) -o bin/ ./runsc ./runsc/runsc-gofer ./runsc/runsc-sentry ./runsc/containerd-shim-runsc-v1

run: needs-root build ## a sandboxed command on this host's own root, which it can't change
	bin/runsc do -- sh -c 'uname -a; id; ps aux'

test: needs-root deps root build check unit race lockcheck syscalls programs files-short oci docker bench-smoke ## everything CI runs

check: needs-go ## what reads the code: gofmt, vet, staticcheck, layers
	@out=$$(gofmt -l .); [ -z "$$out" ] || { echo "gofmt -w $$out"; exit 1; }
	$(GO) vet ./...
	GOARCH=arm64 $(GO) vet ./sentry/linux ./sentry/list ./sentry/interval ./sentry/wait ./sentry/auth ./sentry/limits ./sentry/usermem ./gofer/wire
	$(GO) tool staticcheck ./...
	$(GO) test ./test/layers

unit: needs-go
	$(GOTEST) $(UNIT)

race: needs-go ## the unit tests with the race detector, and with the order of locks checked
	CGO_ENABLED=1 $(GOTEST) -race -tags lockcheck $(UNIT)

lockcheck: needs-go needs-root ## the conformance suite with the order of locks checked
	@mkdir -p bin/lockcheck
	$(BUILD) -tags lockcheck -o bin/lockcheck/ ./runsc ./runsc/runsc-gofer ./runsc/runsc-sentry
	$(GOTEST) -count=1 ./test/syscalls -run Conformance -runsc ../../bin/lockcheck/runsc -timeout 15m

UNIT = ./platform/... ./sentry/... ./fs/... ./gofer/... ./syscalls/... ./runsc/... ./test/gotest

syscalls: build ## each system call: on this host first, then in the sandbox; 20 of them broken on purpose
	$(GOTEST) -count=1 ./test/syscalls -timeout 15m
	$(GOTEST) -count=1 ./test/syscalls -run Conformance -platform ptrace -timeout 15m

programs: build root suites-root ## real programs, compared with runc
	$(GOTEST) -count=1 ./test/programs -root $(ROOT) -timeout 20m
	$(GOTEST) -count=1 ./test/programs -root $(ROOT) -platform ptrace -timeout 20m
	$(GOTEST) -count=1 ./test/programs/suites -root $(SUITES) -timeout 20m

jobs-long: build servers-root ## servers, language runtimes, apt and go build, compared with runc: ten minutes
	$(GOTEST) -count=1 ./test/programs -root $(ROOT) -servers $(SERVERS) -run TestPrograms -jobs 'long/*.sh' -timeout 1h
	$(GOTEST) -count=1 ./test/programs -root $(ROOT) -servers $(SERVERS) -run TestPrograms -jobs 'long/*.sh' -platform ptrace -timeout 1h

suites: build suites-root ## Python's tests, Go's and stress-ng, whole, beside runc: an hour and a half
	GARRISON_SUITES=1 $(GOTEST) -count=1 ./test/programs/suites -root $(SUITES) -timeout 2h
	GARRISON_SUITES=1 $(GOTEST) -count=1 ./test/programs/suites -root $(SUITES) -run TestStress -platform ptrace -timeout 2h

files-short: build deps
	$(GOTEST) -count=1 ./test/files -timeout 10m
	$(GOTEST) -count=1 ./test/files -platform ptrace -timeout 10m

files: build suites-root ## files at random, a million operations on each filesystem, with runc first; crashes; 200,000 names
	GARRISON_FILES=1 $(GOTEST) -count=1 ./test/files -root $(SUITES) -timeout 2h
	GARRISON_FILES=1 $(GOTEST) -count=1 ./test/files -root $(SUITES) -platform ptrace -timeout 2h

oci: build root ## the command line and the container's life
	$(GOTEST) -count=1 ./test/oci/... ./test/posture/... -timeout 15m

crash: build deps ## 100 containers side by side, and kill -9 of any process of ours at any moment, 300 times: some minutes
	GARRISON_CRASH=300 $(GOTEST) -count=1 ./test/oci -run 'TestMany|TestKills|TestKilledAt' -timeout 30m

validation: build deps ## the OCI's own programs for testing runtimes, under runc and here: six minutes
	$(BUILD:build=build -C test/oci/validation/programs) -o $(CURDIR)/bin/validation/ $(OCI)/cmd/runtimetest $(OCI)/validation/...
	cp -f $$($(GO) list -C test/oci/validation/programs -m -f '{{.Dir}}' $(OCI))/rootfs-amd64.tar.gz bin/validation/
	$(GOTEST) -count=1 ./test/oci/validation -programs $(CURDIR)/bin/validation -timeout 30m

OCI = github.com/opencontainers/runtime-tools

docker: build root ## dockerd, containerd, by CRI as well, and podman, on sockets of their own
	$(GOTEST) -count=1 ./test/docker/... -timeout 10m
	$(GOTEST) -count=1 ./test/cri -timeout 5m

test-docker: build root servers-root ## Docker's whole command line, beyond the smoke, and docker-compose: some minutes; RUNTIME=runc asks runc first
	GARRISON_DOCKER=1 $(GOTEST) -count=1 ./test/docker -servers $(SERVERS) -run 'TestDockerLong|TestDockerNetwork|TestDockerServers|TestDockerCompose' -timeout 20m

test-cri: build deps ## what a kubelet asks of containerd, with runc first and then with ours: two minutes
	GARRISON_DOCKER=1 $(GOTEST) -count=1 ./test/cri -timeout 10m

test-containerd: test-cri ## the same, and containerd's shim by ctr
	$(GOTEST) -count=1 ./test/docker -run TestContainerd -timeout 10m

test-podman: build deps ## podman's runs, pods and builds
	$(GOTEST) -count=1 ./test/docker -run TestPodman -timeout 10m

mutate: build ## does a case fail for every call that is broken on purpose? Some minutes
	$(GO) test -count=1 ./test/syscalls -run Mutate -mutate all -parallel 6 -timeout 1h

stress: build ## guests and system calls at random for 60 s, hostile ones too, and 10,000 processes; COUNT=10 does it so often
	GARRISON_STRESS=60s $(GOTEST) -count=$(COUNT) ./platform/systrap ./platform/ptrace -timeout $(COUNT)0m
	GARRISON_STRESS=60s $(GOTEST) -count=$(COUNT) ./test/posture -run 'TestIdle|TestGrowth|TestFuzz' -timeout $(COUNT)0m

COUNT = 1

bench: build deps root ## runc, crun, gVisor and Garrison side by side (BENCHMARKS.md)
	$(GO) run ./test/bench -root $(ROOT)

$(PARTS): bench-%: build deps root
	$(GO) run ./test/bench -root $(ROOT) -part $* -o bin/$@.json

bench-loaded: build deps root ## beside busy loops: micro again, and what the loops get; added to what make bench found
	$(GO) run ./test/bench -root $(ROOT) -part loaded,share -add

bench-network: build deps clients-root ## a container and another machine: TCP and UDP, redis, nginx; added to what make bench found
	$(GO) run ./test/bench -root $(ROOT) -clients $(CLIENTS) -part network -add

bench-smoke: build deps clients-root ## every line of the benchmarks once, shortened: has it a number?
	$(GOTEST) ./test/bench/...
	$(GO) run ./test/bench -root $(ROOT) -clients $(CLIENTS) -smoke -o bin/bench-smoke.json

bench-report: needs-go ## BENCHMARKS.md, of what the last make bench found
	cp bin/bench.json test/bench/bench.json
	$(GO) run ./test/bench -report test/bench/bench.json

deps: needs-root ## what apt has of what the tests need
	@test/deps

root: $(ROOT)/.recipe
$(ROOT)/.recipe: test/programs/mkroot | deps
	@test/programs/mkroot $(ROOT)

suites-root: root
	@test/programs/mksuites $(ROOT) $(SUITES)

servers-root: root
	@test/programs/mkservers $(ROOT) $(SERVERS)

clients-root: root
	@test/bench/mkclients $(ROOT) $(CLIENTS)

clean:
	rm -rf bin

needs-go:
	@want=$$(sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' go.mod); \
	command -v $(GO) >/dev/null || { echo "garrison needs Go $$want or newer (https://go.dev/dl): none is installed"; exit 1; }; \
	have=$$(GOTOOLCHAIN=local $(GO) env GOVERSION | sed 's/^go//'); \
	[ "$$(printf '%s\n%s\n' $$want $$have | sort -V | head -n 1)" = $$want ] || \
		{ echo "garrison needs Go $$want or newer (https://go.dev/dl): this is $$have"; exit 1; }

needs-root:
	@[ "$$(id -u)" = 0 ] || { echo "this needs root: it makes namespaces and mounts (sudo make $(MAKECMDGOALS))"; exit 1; }
