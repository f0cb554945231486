# make test is the one command of the README: it installs what the tests need,
# then runs everything. make check is the quick half.
SHELL := /bin/bash
GO ?= go
RACE_TAGS := spillway_goheap
FUZZTIME ?= 1m

.PHONY: all build test check deps fmt vet lint unit race offheap integration lab planted lab-disk lab-syscalls lab-long bench fuzz clean

all: build

build: ## the daemon, as bin/spillway, and the official plugins beside it
	$(GO) build -o bin/ ./cmd/spillway ./cmd/spillway-plugin-{blob,exec,gzip,lz4,sftp,zstd}

# Under the race detector memory is the heap's; offheap runs, as they are used,
# the packages that have memory of their own.
test: deps fmt vet lint race offheap integration lab ## everything

check: fmt vet lint unit ## format, vet, lint, import law, and every test once

deps: bin/versitygw bin/fake-gcs-server bin/azurite ## the real servers and tools that tests compare with
	@PATH=$$PATH:/usr/sbin:/sbin; command -v redis-server >/dev/null && command -v redis-check-rdb >/dev/null && command -v redis-benchmark >/dev/null && command -v zstd >/dev/null && command -v lz4 >/dev/null && command -v age >/dev/null && command -v mkfs.ext4 >/dev/null && command -v mkfs.xfs >/dev/null && command -v sshd >/dev/null && command -v protoc >/dev/null && command -v xz >/dev/null && /usr/bin/python3 -c 'import grpc, google.protobuf, cryptography' 2>/dev/null || { \
	  sudo=$$(test $$(id -u) = 0 || echo sudo); \
	  $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq redis-server redis-tools zstd lz4 age e2fsprogs xfsprogs openssh-server \
	    protobuf-compiler xz-utils python3-grpcio python3-protobuf python3-cryptography; }
	$(GO) mod download

bin/versitygw: ## an S3 server
	GOBIN=$(CURDIR)/bin $(GO) install github.com/versity/versitygw/cmd/versitygw@v1.8.0

bin/fake-gcs-server: ## a server that speaks as Google Cloud Storage does
	GOBIN=$(CURDIR)/bin $(GO) install github.com/fsouza/fake-gcs-server@v1.56.1

bin/azurite: ## a server that speaks as Azure Blob Storage does; it runs in Node.js
	@command -v npm >/dev/null || { sudo=$$(test $$(id -u) = 0 || echo sudo); \
	  $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq nodejs npm; }
	npm install --silent --no-fund --no-audit --prefix $@ azurite@3.35.0 || { rm -rf $@; exit 1; }

fmt:
	@test -z "$$(gofmt -l cmd core examples fsbackends internal plugins)" || { echo "gofmt these:"; gofmt -l cmd core examples fsbackends internal plugins; exit 1; }

vet:
	$(GO) vet ./...
	$(GO) vet -tags $(RACE_TAGS) ./core/...
	$(GO) vet -tags spillway_faults ./cmd/...
	$(GO) vet -tags syscalls ./cmd/...

lint: bin/golangci-lint ## .golangci.yml; the first time it builds the linter
	bin/golangci-lint run ./...

bin/golangci-lint:
	GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

unit:
	$(GO) test -timeout 10m ./...

race: ## the packages under the race detector, with all memory where it can see it
	$(GO) test -race -tags $(RACE_TAGS) -timeout 20m ./core/... ./plugins/... ./fsbackends/... ./internal/... ./examples/...

offheap: ## the packages that use memory outside of Go's heap, without the race detector
	$(GO) test -timeout 10m ./core/keyspace/... ./core/rdb/... ./core/command ./core/server ./core ./examples/...

integration: build ## the built binary over TCP: kills, restarts, shard counts
	SPILLWAY_ROUNDS=50 $(GO) test -count=1 -timeout 20m ./cmd/spillway/...

lab: planted lab-disk lab-syscalls ## the crash laboratory, its short version; see docs/testing.md

planted: ## known bugs, each of which must fail a test
	$(GO) test -tags lab -count=1 -timeout 20m ./core/coretest/planted

# Mounts filesystems of its own, so it needs root and loop devices.
lab-disk: ## real filesystems that lose power, fill up and become read-only
	@d=$$(mktemp -d); if mount -t tmpfs none $$d 2>/dev/null && umount $$d && losetup -f >/dev/null 2>&1; then rmdir $$d; \
	  $(GO) test -tags disk -count=1 -timeout 20m -run TestDisk ./cmd/spillway; \
	else rmdir $$d; echo "NOT RUN: lab-disk may not mount filesystems here (needs root and loop devices); memfs stands in for real disks"; fi

# Needs no privileges, but a kernel and a container that let a process watch its
# child's system calls.
lab-syscalls: ## file-changing system calls of the daemon and of restore that fail, or are the last
	@if $(GO) test -tags syscalls -count=1 -run TestAvailable ./cmd/spillway/internal/sysfault >/dev/null; then \
	  $(GO) test -tags syscalls -count=1 -timeout 20m -run TestSyscalls ./cmd/spillway; \
	else echo "NOT RUN: lab-syscalls may not watch system calls here (needs Linux 5.19 or newer, and seccomp(2))"; fi

lab-long: build ## hours: every part of the laboratory at length
	SPILLWAY_LAB=long $(GO) test -count=1 -timeout 12h -run 'TestHistory$$|TestInterleavings|EveryOperation|TestSmall' ./core ./core/coretest
	SPILLWAY_ROUNDS=200 $(MAKE) planted lab-disk
	SPILLWAY_LAB=long $(GO) test -tags syscalls -count=1 -timeout 8h -run TestSyscalls ./cmd/spillway
	SPILLWAY_SOAK=1h $(GO) test -count=1 -timeout 90m -v -run TestSoak ./cmd/spillway
	$(MAKE) fuzz

fuzz: ## every fuzz target, FUZZTIME each
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; \
	  done; \
	done

bench: build ## side by side with redis-server; see docs/performance.md
	$(GO) build -o bin/spillway-bench ./cmd/spillway-bench
	bin/spillway-bench --spillway bin/spillway $(BENCH)

clean:
	rm -rf bin
