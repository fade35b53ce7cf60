# deltaup: everything a developer runs. `make help` lists the targets.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
FUZZTIME ?= 20s
LDFLAGS  = -s -w -X main.linkedVersion=$(VERSION)
# The command for targets is kept small: only packages in which an update spends its time have
# functions inlined, and functions begin at any multiple of 4, as far as every processor permits. It
# is 0.8 MB less, and no slower.
HOT      = deltaup/delta/... deltaup/mkimage deltaup/mkimage/squashfs deltaup/mkimage/internal/... \
  deltaup/mkimage/initrd deltaup/mkimage/kernel deltaup/chunkstore \
  github.com/klauspost/... github.com/andybalholm/... github.com/zeebo/... github.com/restic/... \
  github.com/pierrec/... github.com/mikelolasagasti/... \
  crypto/internal/... crypto/sha256 crypto/subtle runtime/... internal/bytealg internal/runtime/... \
  internal/cpu internal/byteorder internal/race internal/abi internal/goarch internal/godebugs \
  internal/itoa compress/... hash/... slices sort bytes strings bufio io math/... unicode/utf8 \
  sync/... encoding/binary cmp iter maps
SMALL    = -ldflags '$(LDFLAGS) -funcalign=4' -gcflags=all=-l $(HOT:%=-gcflags=%=)
TARGET   = bin/deltaup-target
# Modules of their own that stand in for others: ./... does not lead into them.
STANDINS = internal/cpuid internal/sigstore
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

export CGO_ENABLED ?= 0

.PHONY: help target bench-boot bench-scale bench-whole bench-trace build test test-long test-boot test-settings race lint fuzz bench bench-micro bench-compare demo tools clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: target ## bin/deltaup, and bin/deltaup-target; static and stripped
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/deltaup ./cmd/deltaup
	@stat -c '%n: %s bytes' bin/deltaup bin/deltaup-target

target: ## bin/deltaup-target, which has only what a target needs
	$(GO) build -trimpath $(SMALL) -tags target -o $(TARGET) ./cmd/deltaup

tools: ## the real tools that tests compare with (Debian; needs root, does nothing when all are there)
	@bench/tools.sh

test: tools ## all tests, with every foreign oracle that the machine permits
	DELTAUP_TEST_ALL=$$(bench/tools.sh --check && echo 1) $(GO) test -timeout 9m ./...
	DELTAUP_TEST_ALL=$$(bench/tools.sh --check && echo 1) $(GO) test -C bench -timeout 9m ./...
	@for m in $(STANDINS); do $(GO) test -C $$m ./... || exit 1; done

test-long: tools ## the tests that kill, cut and mutate at random or everywhere, three times as long as in test
	DELTAUP_TEST_LONG=1 DELTAUP_TEST_ALL=$$(bench/tools.sh --check && echo 1) $(GO) test -timeout 30m ./...

test-boot: ## counted boot with real GRUB, Linux, Debian and power cuts, in QEMU (installs it)
	@bench/test-boot.sh

test-settings: ## settings through 500 power cuts (CUTS), and through updates and fallbacks of a Debian in QEMU (root)
	@bench/test-settings.sh

race: ## the tests that are short enough for the race detector
	CGO_ENABLED=1 $(GO) test -race -short -timeout 25m ./...
	CGO_ENABLED=1 $(GO) test -C bench -race -short -timeout 15m ./...

lint: ## gofmt, vet (for 32 bits, too), staticcheck, shell syntax
	@out=$$(gofmt -l .); test -z "$$out" || { echo "gofmt would change:"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags target ./cmd/deltaup
	$(GO) vet -C bench ./...
	@for m in $(STANDINS); do echo "$(GO) vet -C $$m ./..."; $(GO) vet -C $$m ./... || exit 1; done
	GOARCH=arm $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(STATICCHECK) -tags target -tests=false ./cmd/deltaup
	@for m in bench $(STANDINS); do echo "staticcheck in $$m"; (cd $$m && $(GO) run $(STATICCHECK) ./...) || exit 1; done
	@for f in bench/*.sh bench/boot/*.sh .ci/run; do bash -n $$f || exit 1; done

fuzz: ## every fuzz target for FUZZTIME each
	@bench/fuzz.sh $(FUZZTIME)

bench: build ## deltaup beside other tools, as a report in bench/results: half an hour; QUICK=1: two minutes, in tmp/bench
	@QUICK=$(QUICK) GO=$(GO) bench/bench.sh

bench-scale: build ## cost against image size (to 8 GB), files (to 500,000), change and releases (to 50), put into the same report: at most an hour, 50 GB of disk
	@SCALE=1 GO=$(GO) bench/bench.sh

bench-whole: build ## the bytes of updates with kernel and initrd, for whole.json and the pages; PAIRS="DIR..." ONLY=METHODS
	@WHOLE=1 PAIRS="$(PAIRS)" ONLY="$(ONLY)" GO=$(GO) bench/bench.sh

bench-micro: ## the micro-benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-compare: ## the micro-benchmarks beside those of the last commit; BENCH=REGEXP PKG=./delta/... COUNT=6
	@GO=$(GO) BENCH='$(BENCH)' PKG='$(PKG)' COUNT='$(COUNT)' bench/compare.sh

demo: build ## two real root file systems: image, publish, serve, pull
	@bench/demo.sh

bench-boot: ## a boot from slow disks, laid out in several ways, as a report in bench/results/boot (QEMU; about 20 minutes)
	@bench/boot.sh

bench-trace: ## what recording costs a boot, and a fresh trace an update (QEMU; about 25 minutes)
	@bench/trace-overhead.sh
	@bench/trace-price.sh

clean: ## what the targets above made
	rm -rf bin tmp
