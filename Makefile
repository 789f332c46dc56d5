# The commands of this repository. `make help` lists them.

DEVSTACK = bin/devstack
PKGS ?= ./...
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test fakecheck check format lint vet histories screenshots settings bench up down clean env tools cli devstack secrets containers

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 10

demo: devstack ## run the whole pipeline on a sample, or on SOURCE=path/to/file.csv
	@$(DEVSTACK) demo $(if $(SOURCE),"$(SOURCE)")

test: vet cli ## all tests against servers of their own; PKGS=./internal/search ARGS='-run Bulk -v' narrows it
	@$(DEVSTACK) exec go test -race -timeout 20m $(ARGS) $(PKGS)

fakecheck: devstack ## check the tests' Metabase with Metabase's own command line client; needs Node
	@$(DEVSTACK) exec go test -tags metabasecli -count=1 -run MetabaseCLI ./internal/metabasefake $(ARGS)

check: format lint test ## all that must pass: format, lint and import rules, then the tests

format: ## fail where gofmt would change a file
	@files=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "run gofmt -w on:"; echo "$$files"; exit 1; fi

lint: devstack ## lint and import rules, with the pinned golangci-lint
	@$(DEVSTACK) lint $(PKGS)

vet: ## go vet, and whether the workflows are deterministic
	go vet $(PKGS)
	go tool workflowcheck -config tools/workflowcheck.yaml ./workflows/...

histories: devstack ## record the histories that the replay tests replay
	@mkdir -p workflows/testdata && rm -f workflows/testdata/*.json
	@$(DEVSTACK) exec go test -count=1 ./worker -run 'Follow|ContinueAsNew|Pause|DashboardOf' -histories=$(CURDIR)/workflows/testdata

screenshots: devstack ## take the pictures of docs/images anew, with a real browser
	@mkdir -p docs/images
	@$(DEVSTACK) exec go test -count=1 ./starter -run WebUI -screenshots=$(CURDIR)/docs/images
	@$(DEVSTACK) exec go test -count=1 ./internal/web -run Pictures -screenshots=$(CURDIR)/docs/images

settings: ## write the table of settings in docs/operations.md anew
	@go test -count=1 ./internal/config -run Table -write

bench: devstack ## measure the pipeline against its servers' limits, on a sample or SOURCE=path; ARGS=-json
	@go build -o bin/worker ./worker && go build -o bin/bench ./bench
	@$(DEVSTACK) exec --durable bin/bench $(if $(SOURCE),-source "$(SOURCE)") $(ARGS)

up: devstack ## start the servers; ES_PORT, PG_PORT, TEMPORAL_PORT, TEMPORAL_UI_PORT, ES_HEAP change them
	@$(DEVSTACK) up

down: devstack ## stop all that up and demo started
	@$(DEVSTACK) down

clean: devstack ## stop it and remove its data
	@$(DEVSTACK) clean

secrets: ## make the secrets of the containers, see docs/containers.md; those that are there stay
	@sh containers/secrets.sh

containers: devstack ## build the Temporal server of the containers and run it with their settings; 3 minutes the first time
	@cd tools/temporal-server && go build -ldflags='-s -w' -o $(CURDIR)/bin/temporal-server go.temporal.io/server/cmd/server
	@cd tools/temporal-server && go build -ldflags='-s -w' -o $(CURDIR)/bin/temporal-sql-tool go.temporal.io/server/cmd/tools/sql
	@cd tools/temporal && go build -ldflags='-s -w' -o $(CURDIR)/bin/temporal github.com/temporalio/cli/cmd/temporal
	@$(DEVSTACK) exec go test -count=1 -tags temporalserver -run TestTemporalServer $(ARGS) ./containers

env: devstack ## print the variables that reach the servers
	@$(DEVSTACK) env

tools: devstack ## install the servers' programs, start nothing
	@$(DEVSTACK) tools

cli: devstack ## Temporal's command-line tools: bin/temporal and bin/tctl
	@$(DEVSTACK) cli

devstack:
	@go build -o $(DEVSTACK) ./internal/devstack/cmd
