# The project's tasks. `make` alone lists them.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Generators and linters have modfiles of their own, so that they are not dependencies of the product.
SQLC := CGO_ENABLED=0 go tool -modfile=tools/go.mod sqlc
WIRE := CGO_ENABLED=0 go tool -modfile=tools/go.mod wire
ACTIONLINT := CGO_ENABLED=0 go tool -modfile=tools/go.mod actionlint
BUNDLE := CGO_ENABLED=0 go run -C tools ./bundle
JAVASCRIPT := tools/javascript/node_modules
LINT := CGO_ENABLED=0 go tool -modfile=tools/lint/go.mod golangci-lint

# Duration of `make fuzz` for each target.
FUZZTIME ?= 60s

# Parameters of `make bench`, which docs/performance/README.md explains.
SECONDS ?= 5
OVERLOAD ?= 60
DATABASE ?= sqlite
SCALE ?=
PEER ?=
OUT ?= docs/performance

# The release that `keylodge version` prints: make build VERSION=v1.2.3. The binary depends on it and on the sources only, not on
# the state of the git repository.
VERSION ?=
GO_BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -buildid=$(if $(VERSION), -X github.com/keylodge/keylodge/bootstrap.release=$(VERSION))'

# The platforms of `make release`.
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64

# Tests must not see the developer's own settings; those are for `make run`.
WITHOUT_SETTINGS := env $(patsubst %,-u %,$(filter KEYLODGE_%,$(.VARIABLES)))

# A test fails instead of being skipped if it lacks one of these; "all" means also root, and disk: the right to mount a small one.
REQUIRE ?= browser,mailserver,postgres,pgbouncer,haproxy,caddy,nginx,redis,prometheus,tools
GO_TEST = $(WITHOUT_SETTINGS) go test -timeout $(TEST_TIMEOUT)
# Without the part of vet that go test runs for each package: make check runs all of vet. Without the tables of debuggers (-w),
# which take half of the time to link.
GO_TEST_ALL = $(WITHOUT_SETTINGS) REQUIRE=$(REQUIRE) go test -vet=off -ldflags=-w -timeout $(TEST_TIMEOUT)

# The names of the tests with a browser, which requireChromium in ./acceptance enforces.
BROWSER_TESTS := '^Test(Page|OtherBrowsers|Kit|Elements)_|^TestExamples$$|^TestStories$$/./^browser_'

# The tests of ./acceptance about concurrent requests, which concurrently enforces, and each story once.
# docs/decisions/0045-race-detector-where-requests-run-concurrently.md has the reasons.
RACE_TESTS := '^Test(FirstVisit|Framing|ListEvents|SessionLimit|SizeLimit|Timeout)_|^TestStories$$/./^HTTP_on_SQLite$$'

# The packages whose tests run programs as processes, where the race detector has no effect.
PROCESS_TESTS := '/acceptance/\(build\|cluster\|deploy\|durability\|bench\)$$'

# $(call or_run,target) follows a check; if the check fails, it prints the target that fixes the problem.
or_run = || { echo "FAILED. Fix it with: make $(1)" >&2; exit 1; }

# The parts of `make test`, the one that takes longest first. Each of them waits for a third of its time, so three run side by side;
# the output of each is printed when it has ended. All run, also after a failure.
TESTS := test-race test-acceptance-rest test-processes test-acceptance-concurrency

# The limit for the tests of one package, more than ten times the duration of the slowest one on two idle cores.
TEST_TIMEOUT := 60m

# The race detector, but not inside SQLite, which is C translated to Go: instrumented, it takes eight times as long. The package
# that calls it is instrumented, so two goroutines that use one connection are still detected.
RACE := -race '-gcflags=github.com/ncruces/go-sqlite3-wasm/...=-race=false'

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install the programs that tests and checks need and that are missing
	@.ci/setup

.PHONY: test
test: setup ## Run every test; installs missing programs
	+$(MAKE) -j3 --output-sync=target --keep-going $(TESTS)

.PHONY: test-race
test-race: setup # packages run side by side, so that two cores are busy with -parallel 1; adapters/postgres takes longest
	CGO_ENABLED=1 $(GO_TEST_ALL) -parallel 1 $(RACE) ./adapters/postgres \
		$$(go list ./... | grep -v -e '/adapters/postgres$$' -e '/acceptance$$' -e $(PROCESS_TESTS))

.PHONY: test-acceptance-concurrency
test-acceptance-concurrency: setup
	CGO_ENABLED=1 $(GO_TEST_ALL) $(RACE) ./acceptance -run $(RACE_TESTS)

.PHONY: test-acceptance-rest
test-acceptance-rest: setup # most of the time is waiting, so four tests run side by side
	$(GO_TEST_ALL) -parallel 4 ./acceptance -skip $(RACE_TESTS)

.PHONY: test-processes
test-processes: setup # -count=1, since Go does not see that the tests build the program, and would reuse a former result
	$(GO_TEST_ALL) -count=1 -p 1 $$(go list ./... | grep $(PROCESS_TESTS))

.PHONY: test-acceptance-race
test-acceptance-race: setup ## Run every test of the stories, the HTTP API and the page with the race detector
	CGO_ENABLED=1 $(GO_TEST_ALL) -parallel 1 $(RACE) ./acceptance

.PHONY: test-unit
test-unit: ## Run the tests that need no server, browser or mail server; installs nothing
	$(GO_TEST) -short $$(go list ./... | grep -v /acceptance) ./acceptance/testkit/... ./acceptance/requirements

.PHONY: test-acceptance
test-acceptance: ## Run the stories and the tests of the HTTP API; skips those that need a missing program
	$(GO_TEST) ./acceptance -skip $(BROWSER_TESTS)

.PHONY: test-browser
test-browser: ## Run the stories and the tests of the page in Chromium
	$(GO_TEST) ./acceptance -run $(BROWSER_TESTS)

.PHONY: test-cluster
test-cluster: ## Run the tests of several nodes
	$(GO_TEST) -count=1 ./acceptance/cluster

.PHONY: test-durability
test-durability: ## Run the tests of crashes, outages and a full disk
	$(GO_TEST) -count=1 ./acceptance/durability

.PHONY: check
check: verify lint shell workflows javascript ## Run all static checks: verify, lint with vet, shell, workflows and javascript

.PHONY: vet
vet: ## Run go vet
	go vet ./...

.PHONY: verify
verify: ## Fail if generated code, formatting or go.mod is out of date, or a text breaks a rule
	@echo 'gofmt -l .'; found=$$(gofmt -l .) && echo "$$found" && test -z "$$found" $(call or_run,fmt)
	@echo 'sqlc diff'; $(SQLC) diff $(call or_run,generate)
	@echo 'wire diff ./bootstrap'; $(WIRE) diff ./bootstrap $(call or_run,generate)
	@echo 'go run -C tools ./bundle -check ..'; $(BUNDLE) -check .. $(call or_run,page)
	@echo 'go run -C tools ./reference -check ..'; go run -C tools ./reference -check .. $(call or_run,generate)
	@echo 'go run -C tools ./documentation -check ..'; go run -C tools ./documentation -check .. $(call or_run,documentation)
	@echo 'go mod tidy -diff'; go mod tidy -diff $(call or_run,tidy)
	go mod verify
	go test -C tools ./... # the checks of words and Markdown, and the generator of docs/reference
	@echo '.ci/decisions'; .ci/decisions | diff docs/decisions/README.md - $(call or_run,generate)
	$(MAKE) words
	$(MAKE) markdown

.PHONY: words
words: ## Fail if a text uses a denied word (docs/reference/glossary.md)
	go run -C tools ./vocabulary ..

.PHONY: markdown
markdown: ## Check the form, the links and the names of tests in all Markdown files
	go run -C tools ./markdown ..

.PHONY: lint
lint: ## Run golangci-lint, which includes vet and checks the dependencies between layers
	$(LINT) run

.PHONY: shell
shell: ## Run shellcheck on the shell scripts
	shellcheck $(wildcard .ci/* .githooks/*)

.PHONY: workflows
workflows: ## Run actionlint on the workflows of GitHub Actions, and shellcheck on their commands
	$(ACTIONLINT)

.PHONY: javascript
javascript: $(JAVASCRIPT)/.package-lock.json ## Check the types of the kit, lint the JavaScript, and run its tests in Node
	$(JAVASCRIPT)/.bin/tsc -p tools/javascript
	$(JAVASCRIPT)/.bin/oxlint -c tools/javascript/.oxlintrc.json adapters/webui/kit adapters/webui/elements adapters/webui/src
	node --test adapters/webui/kit/tests/ adapters/webui/src/tests/ adapters/webui/elements/tests/

# The lock file has the versions and the hashes of the packages. Once installed, they need no network.
$(JAVASCRIPT)/.package-lock.json: tools/javascript/package-lock.json
	npm ci --no-audit --no-fund --prefix tools/javascript
	@touch $@

.PHONY: fmt
fmt: ## Format the code
	$(LINT) fmt

.PHONY: tidy
tidy: ## Update go.mod and go.sum
	go mod tidy

.PHONY: generate
generate: page ## Generate SQL access, wiring, the page, and the documents that are made from code, tests or decisions
	$(SQLC) generate
	$(WIRE) gen ./bootstrap
	.ci/decisions > docs/decisions/README.md
	go test ./adapters/httpapi -run '^TestOpenAPI$$' -update
	go test ./adapters/cli ./adapters/metrics -run '^TestReference_' -update
	go run -C tools ./reference ..
	go test ./acceptance -run '^(TestStories_document|TestConformance_document|TestTokenTable_document)$$' -update
	go test ./acceptance/requirements -run '^TestRequirements_document$$' -update
	$(MAKE) documentation

.PHONY: page
page: ## Bundle the page from adapters/webui/src; a running server must be restarted
	$(BUNDLE) ..

.PHONY: documentation
documentation: ## Render docs for /docs of the server; a running server must be restarted
	go run -C tools ./documentation ..

.PHONY: hooks
hooks: ## Check format, build and words before each commit (.githooks)
	git config core.hooksPath .githooks

.PHONY: build
build: ## Build bin/keylodge, a static binary, reproducibly
	$(GO_BUILD) -o bin/keylodge .

.PHONY: release
release: ## Build bin/release: a binary for each of PLATFORMS with its bill of materials, the files of deploy, and SHA256SUMS
	rm -rf bin/release
	@set -e; for platform in $(PLATFORMS); do \
		export GOOS=$${platform%/*} GOARCH=$${platform#*/}; \
		file=keylodge-$$GOOS-$$GOARCH; if [ $$GOOS = windows ]; then file=$$file.exe; fi; \
		echo "bin/release/$$file"; $(GO_BUILD) -o bin/release/$$file .; \
		env -u GOOS -u GOARCH go run -C tools ./bom -version '$(VERSION)' ../bin/release/$$file >bin/release/$$file.cdx.json; \
	done
	tar --create --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=a=rX,u+w deploy | gzip -n >bin/release/keylodge-deploy.tar.gz
	cd bin/release && sha256sum keylodge-* >SHA256SUMS

.PHONY: run
run: ## Run the server from the sources, by default on http://localhost:8080
	go run .

.PHONY: bench
bench: build ## Measure complete ceremonies, beside what they cost at least
	go run ./acceptance/bench -out '$(OUT)' -seconds $(SECONDS) -overload $(OVERLOAD) -database $(DATABASE) -scale '$(SCALE)' -peer '$(PEER)'

.PHONY: microbench
microbench: ## Run the benchmarks of single functions
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: fuzz
fuzz: ## Fuzz each target for FUZZTIME (default 60s)
	@listed=$$(go test -list '^Fuzz' ./...) || { echo "$$listed"; exit 1; }; \
	echo "$$listed" | awk '/^Fuzz/ { target[++n] = $$1 } /^ok/ { while (n) print $$2, target[n--] }' | \
	while read -r package target; do \
		echo "$$target in $$package"; \
		go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5s "$$package" </dev/null || exit 1; \
	done

.PHONY: clean
clean: ## Remove build output
	rm -rf bin coverage.out
