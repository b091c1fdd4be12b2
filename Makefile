# Every task of the house, and all that each of them needs. `make` alone lists them.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Generators and linters stand in modfiles of their own, so that they never enter the product's dependencies.
SQLC := CGO_ENABLED=0 go tool -modfile=tools/go.mod sqlc
WIRE := CGO_ENABLED=0 go tool -modfile=tools/go.mod wire
LINT := CGO_ENABLED=0 go tool -modfile=tools/lint/go.mod golangci-lint

# How long `make fuzz` spends on each target.
FUZZTIME ?= 60s

# What `keylodge version` says of a release: make build VERSION=v1.2.3. The bytes depend on this and on the sources, and not on
# what git knows of them.
VERSION ?=
RELEASE := $(if $(VERSION),-X github.com/keylodge/keylodge/bootstrap.release=$(VERSION))

# A developer's own settings are for `make run`; tests must not see them.
WITHOUT_SETTINGS := env $(patsubst %,-u %,$(filter KEYLODGE_%,$(.VARIABLES)))

# What the tests need is there, and without it they fail instead of being skipped.
WITH_ALL := $(WITHOUT_SETTINGS) REQUIRE_BROWSER=1 REQUIRE_MAILSERVER=1 REQUIRE_POSTGRES=1 REQUIRE_PGBOUNCER=1 REQUIRE_HAPROXY=1 REQUIRE_REDIS=1

# $(call or_mend_with,target) follows a check and names the target that mends what it found.
or_mend_with = || { echo "FAILED. Mend it with: make $(1)" >&2; exit 1; }

# PATIENCE bounds what a package's tests may take where one hangs: a machine five times slower than a good one gets through.
PATIENCE := 60m

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: ## Run every test, with the race detector, a real browser, database and mail server; installs what is missing
	@.ci/setup
	$(WITH_ALL) CGO_ENABLED=1 go test -race -timeout $(PATIENCE) $$(go list ./... | grep -v '/acceptance/\(durability\|nodes\)$$')
	$(WITH_ALL) go test -timeout $(PATIENCE) -p 1 ./acceptance/durability ./acceptance/nodes # processes that the race detector does not see
	$(WITH_ALL) go test -timeout $(PATIENCE) ./acceptance -run '^TestTransfer_BetweenStores$$' # with as many people as would take it too long

.PHONY: check
check: vet verify lint ## Everything that judges the code without running it: vet, verify and lint

.PHONY: vet
vet: ## Look for mistakes with go vet
	go vet ./...

.PHONY: verify
verify: ## Fail if generated code, formatting or go.mod is out of step with its sources
	@echo 'gofmt -l .'; found=$$(gofmt -l .) && echo "$$found" && test -z "$$found" $(call or_mend_with,fmt)
	@echo 'sqlc diff'; $(SQLC) diff $(call or_mend_with,generate)
	@echo 'wire diff ./bootstrap'; $(WIRE) diff ./bootstrap $(call or_mend_with,generate)
	@echo 'go mod tidy -diff'; go mod tidy -diff $(call or_mend_with,tidy)
	go mod verify

.PHONY: lint
lint: ## Hold the code to .golangci.yml, the layers of the house among it
	$(LINT) run

.PHONY: fmt
fmt: ## Format the code
	$(LINT) fmt

.PHONY: tidy
tidy: ## Bring go.mod and go.sum in step with the imports
	go mod tidy

.PHONY: generate
generate: ## Write what is generated: SQL access, wiring, the OpenAPI document, the matrix of stories, the steps of ceremonies
	$(SQLC) generate
	$(WIRE) gen ./bootstrap
	go test ./adapters/httpapi -run '^TestOpenAPI$$' -update
	go test ./acceptance -run '^(TestStories_document|TestConformance_document|TestTokenTable_document)$$' -update

.PHONY: build
build: ## Build bin/keylodge, one static binary; the same sources give the same bytes
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -buildid= $(RELEASE)' -o bin/keylodge .

.PHONY: run
run: ## Serve from the sources, on http://localhost:8080 unless told otherwise
	go run .

.PHONY: bench
bench: ## Run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZTIME (60s)
	@listed=$$(go test -list '^Fuzz' ./...) || { echo "$$listed"; exit 1; }; \
	echo "$$listed" | awk '/^Fuzz/ { target[++n] = $$1 } /^ok/ { while (n) print $$2, target[n--] }' | \
	while read -r package target; do \
		echo "$$target in $$package"; \
		go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5s "$$package" </dev/null || exit 1; \
	done

.PHONY: clean
clean: ## Remove what was built here
	rm -rf bin coverage.out
