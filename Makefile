# make test is the one command of the README: it installs what the tests need,
# then runs everything. make check is the quick half.
SHELL := /bin/bash
GO ?= go
# Google's library for Cloud Storage links a client of service meshes (xDS), for its gRPC, which no sink
# speaks: a fifth of the daemon, and a quarter of the CPU that a start without data takes. This leaves it out.
LEAN := disable_grpc_modules
RACE_TAGS := spillway_goheap,$(LEAN)
# In these nothing is shared between goroutines, tests included: the race detector has
# nothing to look for, and they run in offheap alone. core/racelaw_test.go holds both lists.
SINGLE := ./core/command/geo ./core/command/hll ./core/command/spec ./core/rdb ./core/rdb/packed
# What has memory outside of Go's heap, and what tries less under the race detector; what
# takes long is first, so that nothing waits for it alone.
OFFHEAP := ./core ./core/coretest ./core/server ./core/session ./core/rdb/... ./core/coretest/lives ./core/command/... ./core/keyspace/... ./core/coretest/model ./examples/crashtest ./examples/embedded
# As a release is built (packaging/stage.go), so that all but the race detector's
# packages are compiled once, for whatever directory this is.
export CGO_ENABLED := 0
export GOFLAGS := $(filter-out -trimpath -tags=%,$(GOFLAGS)) -trimpath -tags=$(LEAN)
FUZZTIME ?= 1m
CORES := $(shell nproc 2>/dev/null || echo 2)
# Programs that make deps has unpacked, and those that only root has in its PATH.
export PATH := $(PATH):/usr/sbin:/sbin:$(CURDIR)/bin
# go test, which keeps what happened for make skips. HIDE=skipped leaves that to it.
# It need not vet each package again for each set of flags: vet and lint have. Without debug
# information, which no stack trace needs, a link takes three quarters of the CPU.
RESULTS := bin/results
TEST = mkdir -p $(RESULTS); bin/gotestsum --format pkgname --format-hide-empty-pkg $(if $(HIDE),--hide-summary=$(HIDE)) --jsonfile $(RESULTS)/$@.json -- -vet=off -ldflags='-s -w'

.PHONY: all build test check skips system-deps deps fmt vet lint unit race offheap integration browser compat lint+packages lab planted lab-disk lab-syscalls lab-long bench bench-peers docs fuzz clean packages dist dist-check image chart

all: build

build: ## the daemon, as bin/spillway, and the official plugins beside it
	$(GO) build -o bin/ ./cmd/spillway ./cmd/spillway-plugin-{blob,exec,gzip,lz4,sftp,zstd}

# What make test goes through. Under the race detector memory is the heap's;
# offheap runs, as they are used, the packages that have memory of their own, and in full
# what is tried less under the detector. The programs are built before it: documents that are
# followed in there build them too. packages waits for one thread or for a daemon most of the
# time, and lint fills the other core.
PHASES := deps fmt vet build lint+packages race offheap integration browser compat lab

test: ## everything
	@echo "make test takes about half an hour on two idle cores, and up to 60 minutes on busy ones or with nothing cached. What it does: $(PHASES)."
	@echo "make deps, its first part, says what it installs. make check is the quick half."
	@rm -rf $(RESULTS); began=$$SECONDS; for phase in $(PHASES); do \
	  echo "== $$phase"; at=$$SECONDS; \
	  $(MAKE) --no-print-directory $$phase HIDE=skipped || failed=$$phase; \
	  printf '== %s: %d min %02d s\n' $$phase $$(((SECONDS-at)/60)) $$(((SECONDS-at)%60)); \
	  test -z "$$failed" || break; \
	done; \
	$(MAKE) --no-print-directory skips; \
	printf '== %s: %d min %02d s\n' "$${failed:-all}" $$(((SECONDS-began)/60)) $$(((SECONDS-began)%60)) ; \
	test -z "$$failed" || { echo "make test FAILED in $$failed"; exit 1; }

skips: bin/gotestsum ## what the last make test has not run, and why
	@echo "== not run"
	@cat $(RESULTS)/*.json 2>/dev/null | bin/gotestsum --raw-command --format none --hide-summary failed,errors -- cat || true
	@cat $(RESULTS)/not-run 2>/dev/null || true

check: fmt vet lint unit ## format, vet, lint, import law, and every test once

deps: system-deps bin/versitygw bin/fake-gcs-server bin/azurite bin/node-clients/node_modules bin/helm bin/cyclonedx-gomod bin/gotestsum ## the real servers and tools that tests compare with
	$(GO) mod download

system-deps: ## what of the system they need: only what is missing, and no service
	@internal/deps.sh

bin/versitygw: ## an S3 server
	GOBIN=$(CURDIR)/bin $(GO) install github.com/versity/versitygw/cmd/versitygw@v1.8.0

bin/fake-gcs-server: ## a server that speaks as Google Cloud Storage does
	GOBIN=$(CURDIR)/bin $(GO) install github.com/fsouza/fake-gcs-server@v1.56.1

bin/azurite: | system-deps ## a server that speaks as Azure Blob Storage does; it runs in Node.js
	npm install --silent --no-fund --no-audit --prefix $@ azurite@3.35.0 || { rm -rf $@; exit 1; }

# What the lock file names, and nothing that those packages would build or fetch.
NODE_CLIENTS := cmd/spillway/testdata/node
bin/node-clients/node_modules: $(NODE_CLIENTS)/package-lock.json | system-deps ## BullMQ, ioredis and node-redis, which tests drive the daemon with
	rm -rf $@ && mkdir -p $(@D) && cp $(NODE_CLIENTS)/package.json $< $(@D)
	npm ci --silent --ignore-scripts --no-fund --no-audit --prefix $(@D) && touch $@ || { rm -rf $@; exit 1; }

bin/helm: ## what lints and renders the chart
	GOBIN=$(CURDIR)/bin $(GO) install helm.sh/helm/v3/cmd/helm@v3.22.0

bin/cyclonedx-gomod: ## what writes bills of materials
	GOBIN=$(CURDIR)/bin $(GO) install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

bin/gotestsum: ## go test, with what was skipped and why
	GOBIN=$(CURDIR)/bin $(GO) install gotest.tools/gotestsum@v1.13.0

fmt:
	@test -z "$$(gofmt -l cmd core examples fsbackends internal packaging plugins)" || { echo "gofmt these:"; gofmt -l cmd core examples fsbackends internal packaging plugins; exit 1; }

# What lint, whose govet is the same, does not see: the files behind tags.
vet:
	$(GO) vet -tags $(RACE_TAGS) ./core/keyspace/...
	$(GO) vet -tags spillway_faults,syscalls,disk,browser,lab,$(LEAN) ./cmd/... ./core/coretest/planted

lint: bin/golangci-lint ## .golangci.yml; the first time it builds the linter
	bin/golangci-lint run ./...
	cd packaging && ../bin/golangci-lint run ./...

bin/golangci-lint:
	GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

unit: bin/gotestsum
	$(TEST) -timeout 10m ./...

# The laboratory loses power and fails operations at every 48th operation here, at every
# third in offheap, and at every one in lab-long: they took half of the whole.
# A test's heap is small, and collecting it took a quarter of its time. A program under the
# race detector sleeps a second before it ends, each plugin that a test starts too.
# Most packages wait for a plugin or a server now and then, and the linker for one thread:
# three at a time on two cores. Those that wait most are first, beside others that compute.
# The curves of elliptic cryptography are computed without the detector: two plugins and their
# host spent half of a start on them, no goroutine shares anything in there, and all around
# them is watched.
UNWATCHED := crypto/internal/fips140/nistec/...
RACE_P ?= $(shell echo $$(( ($(CORES) * 3 + 1) / 2 )))
race: bin/gotestsum ## the packages under the race detector, with all memory where it can see it
	export SPILLWAY_LAB_STRIDE=48 GOGC=400 CGO_ENABLED=1 GORACE=atexit_sleep_ms=10; \
	  $(TEST) -p $(RACE_P) -race -gcflags='$(UNWATCHED)=-race=false' -tags $(RACE_TAGS) -timeout 40m $$($(GO) list ./plugins/... ./fsbackends/... ./core/... ./internal/... ./examples/... | grep -vxF "$$($(GO) list $(SINGLE))")

offheap: bin/gotestsum ## without the race detector: packages with memory outside of Go's heap, and in full what is tried less under it
	export SPILLWAY_LAB_STRIDE=3 GOGC=400; $(TEST) -p $(RACE_P) -timeout 20m $(OFFHEAP)

# Its tests wait for daemons half of the time: twice as many at once as there are cores.
integration: build bin/gotestsum ## the built binaries over TCP: kills, restarts, shard counts, the bench
	export SPILLWAY_ROUNDS=50; $(TEST) -count=1 -parallel $$((2 * $(CORES))) -timeout 20m ./cmd/...
	export SPILLWAY_TEST_EVENT_LOOPS=0; $(GO) test -vet=off -ldflags='-s -w' -count=1 -timeout 5m -run '^(TestLinearizable|TestUnixSocket|TestMaxClients|TestIdleTimeout|TestOutputLimit|TestQueryLimit|TestClientCommands)$$' ./cmd/spillway

# A browser is large, and make deps brings none.
browser: bin/gotestsum ## the status page in a real browser, light and dark, wide and narrow
	@if command -v $${CHROMIUM:-chromium} >/dev/null || command -v chromium-headless-shell >/dev/null; then \
	  $(TEST) -tags browser,$(LEAN) -count=1 -timeout 10m -run TestBrowser ./cmd/spillway; \
	else mkdir -p $(RESULTS); echo "NOT RUN: browser has no chromium here (Debian's package chromium-headless-shell, or CHROMIUM=path)" | tee -a $(RESULTS)/not-run; fi
# Installs the packages in a copy of this machine's root that is written to memory:
# as root, where the kernel mounts an overlay. What cannot run says so in make skips.
packages: bin/gotestsum bin/helm bin/cyclonedx-gomod ## packages, the image and the chart, made and tried for this machine
	cd packaging && mkdir -p ../$(RESULTS) && ../bin/gotestsum --format pkgname --format-hide-empty-pkg $(if $(HIDE),--hide-summary=$(HIDE)) --jsonfile ../$(RESULTS)/$@.json -- -count=1 -timeout 20m ./...

# What each of them prints comes as a whole when it has ended; if one fails, the other ends first.
lint+packages: bin/golangci-lint bin/gotestsum bin/helm bin/cyclonedx-gomod ## both, side by side
	@$(MAKE) --no-print-directory -j2 -k --output-sync=target lint packages

# What a release is made of. Of a tag vX.Y.Z the version is X.Y.Z.
VERSION ?= $(or $(patsubst v%,%,$(shell git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null)),$(shell sed -n 's/^\tversion = "\(.*\)"/\1/p' cmd/spillway/version.go))
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null)$(shell test -z "$$(git status --porcelain 2>/dev/null)" || echo +changes)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
PACKAGING = $(GO) -C packaging run . -root $(CURDIR) -version $(VERSION) -commit "$(COMMIT)" -cyclonedx $(CURDIR)/bin/cyclonedx-gomod

dist: bin/cyclonedx-gomod ## bin/dist: tar.gz, deb, rpm, image, chart, compose file, bills of materials, checksums
	$(PACKAGING) -out $(CURDIR)/bin/dist

image: ## an OCI archive, in bin/image
	$(PACKAGING) -out $(CURDIR)/bin/image -only image

chart: ## the Helm chart, in bin/chart
	$(PACKAGING) -out $(CURDIR)/bin/chart -only chart

dist-check: bin/gotestsum bin/helm bin/cyclonedx-gomod ## minutes: all of dist twice, from two directories: the bytes are the same; and what make packages tries
	cd packaging && SPILLWAY_LAB=long ../bin/gotestsum --format testname -- -count=1 -timeout 60m ./...

# Needs the network once, and Debian's apt-get, to have Redis's source.
compat: build ## Redis's own tests against the daemon: fails when one fails that passed before; UNITS= and COMPAT= choose
	@$(GO) build -o bin/ ./internal/compat; bin/compat --fetch-only; case $$? in \
	0) bin/compat $(COMPAT) $(UNITS) && if [ -z "$(strip $(COMPAT) $(UNITS))" ]; then bin/compat --profile started; fi;; \
	3) mkdir -p $(RESULTS); echo "NOT RUN: compat has no source of Redis here (needs apt-get, the archive of Debian 12 and, once, the network)" | tee -a $(RESULTS)/not-run;; \
	*) exit 1;; esac

lab: planted lab-disk lab-syscalls ## the crash laboratory, its short version; see docs/testing.md

planted: bin/gotestsum ## eight known bugs, drawn anew each time, each of which must fail a test: SPILLWAY_PLANTED=all plants all
	export GOGC=400; $(TEST) -tags lab -count=1 -timeout 40m ./core/coretest/planted

# Both of cmd/spillway's laboratories are compiled once.
LAB_TAGS := disk,syscalls,$(LEAN)

# Mounts filesystems of its own, so it needs root and loop devices.
lab-disk: bin/gotestsum ## real filesystems that lose power, fill up and become read-only
	@d=$$(mktemp -d); if mount -t tmpfs none $$d 2>/dev/null && umount $$d && losetup -f >/dev/null 2>&1; then rmdir $$d; \
	  $(TEST) -tags $(LAB_TAGS) -count=1 -timeout 20m -run TestDisk ./cmd/spillway; \
	else rmdir $$d; mkdir -p $(RESULTS); echo "NOT RUN: lab-disk may not mount filesystems here (needs root and loop devices); memfs stands in for real disks" | tee -a $(RESULTS)/not-run; fi

# Needs no privileges, but a kernel and a container that let a process watch its
# child's system calls.
lab-syscalls: build bin/gotestsum ## file-changing system calls of the daemon and of restore that fail, or are the last
	@if $(GO) test -tags syscalls -count=1 -run TestAvailable ./cmd/spillway/internal/sysfault >/dev/null; then \
	  $(TEST) -tags $(LAB_TAGS) -count=1 -timeout 20m -run TestSyscalls ./cmd/spillway; \
	else mkdir -p $(RESULTS); echo "NOT RUN: lab-syscalls may not watch system calls here (needs Linux 5.19 or newer, and seccomp(2))" | tee -a $(RESULTS)/not-run; fi

lab-long: build ## hours: every part of the laboratory at length
	SPILLWAY_LAB=long $(GO) test -count=1 -timeout 12h -run 'TestHistory$$|TestInterleavings|EveryOperation|TestArchiveCrashes|TestArchiveFaults|TestSmall|TestLinear|TestDamagedDirectory' ./core ./core/coretest
	SPILLWAY_LAB=long $(GO) test -count=1 -timeout 2h -run TestLinearizable ./cmd/spillway
	SPILLWAY_LAB=long $(GO) test -count=1 -timeout 12h -run 'TestHistories|TestLives' ./core/coretest/lives ./plugins/blob ./plugins/host ./plugins/sftp
	SPILLWAY_PLANTED=all SPILLWAY_ROUNDS=200 $(MAKE) planted lab-disk
	SPILLWAY_LAB=long $(GO) test -tags syscalls,$(LEAN) -count=1 -timeout 8h -run TestSyscalls ./cmd/spillway
	SPILLWAY_SOAK=1h $(GO) test -count=1 -timeout 90m -v -run TestSoak ./cmd/spillway
	SPILLWAY_LAB=long $(GO) test -count=1 -timeout 1h -v -run 'TestAbuse|TestBullMQ' ./cmd/spillway
	SPILLWAY_LAB=long $(GO) test -count=1 -timeout 1h -run TestRun ./cmd/spillway-bench
	$(MAKE) compat COMPAT="--profile full"
	$(MAKE) fuzz

docs: ## the documentation as a website in bin/site; fails while a link leads nowhere
	$(GO) run ./internal/site -out bin/site

fuzz: ## every fuzz target, FUZZTIME each
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; \
	  done; \
	done

# What of it make bench-peers has fetched; redis-server, if there is nothing.
PEERS = $(foreach peer,$(wildcard bin/peers/*),--peer $(notdir $(peer))=$(peer))
bench: build ## side by side with bin/peers, all tables and the plot to bin/bench: over an hour, a quarter of one with BENCH=--quick; see docs/performance.md
	$(GO) build -o bin/spillway-bench ./cmd/spillway-bench
	bin/spillway-bench --spillway bin/spillway $(PEERS) --json bin/bench/report.json --markdown bin/bench/report.md --plot bin/bench/bgsave.svg $(BENCH)

bench-peers: ## redis-server 7, redis 8 and valkey 9 of Debian's archive, unpacked into bin/peers; nothing is installed
	@internal/peers.sh

clean:
	rm -rf bin
