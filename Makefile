# SPDX-License-Identifier: GPL-2.0
#
# `make help` lists the targets.

KDIR ?= /lib/modules/$(shell uname -r)/build
BUILD ?= build/host
CARGO ?= cargo
# Cargo's output directory; the lab sets it.
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
XTLIBDIR ?= $(shell pkg-config --variable=xtlibdir xtables 2>/dev/null || echo /usr/lib/x86_64-linux-gnu/xtables)
# The kernel of tests/vm/kernels.conf that `make test` and `make demo` boot.
KERNEL ?= stock
# The number of connections of `make demo`.
CONNECTIONS ?= 2000

.PHONY: all
all: modules tools ## Build the modules and the tools (KDIR=: for another kernel than the running one)

.PHONY: help
help: ## Show this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  %-19s %s\n", $$1, $$2 }'

.PHONY: modules
modules: ## Build the kernel modules into BUILD (default build/host); CHECKS=1: with checks of their assumptions
	@GLB_CHECKS=$(if $(filter 1,$(CHECKS)),y) kernel/kbuild/build-modules "$(KDIR)" "$(BUILD)"

.PHONY: tools
tools: ## Build glbctl and the iptables extension into BUILD/bin and BUILD/xtables
	@tests/preconditions tools
	$(CARGO) build --release --workspace --exclude glb-spec --bins --lib
	@mkdir -p $(BUILD)/bin $(BUILD)/xtables
	@for tool in glbctl glb-healthcheck glb-targets glb-packets; do \
		if [ -x $(TARGET_DIR)/release/$$tool ]; then cp -u $(TARGET_DIR)/release/$$tool $(BUILD)/bin/ || exit 1; fi; done
	@if [ -x $(BUILD)/bin/glbctl ]; then ln -sf glbctl $(BUILD)/bin/glb-director-cli; fi
	@strip -o $(BUILD)/xtables/libxt_GLBREDIRECT.so $(TARGET_DIR)/release/libxt_glbredirect_plugin.so

.PHONY: spec
spec: ## Generate from core/src/settings.rs and spec/*.yaml: numbers and names, schemas, tables in docs/
	@$(CARGO) run --quiet --package glb-spec
	@docs/fields

.PHONY: manuals
manuals: tools ## Write manual pages and completions of the tools into BUILD/man and BUILD/completions
	@mkdir -p $(BUILD)/man $(BUILD)/completions
	@$(BUILD)/bin/glbctl man $(BUILD)/man
	@for daemon in glb-healthcheck glb-targets; do \
		$(BUILD)/bin/$$daemon --generate man >$(BUILD)/man/$$daemon.8 || exit 1; done
	@for file in director.conf forwarding_table.json healthcheck.conf targets.conf; do \
		packaging/lib/man5.py spec/$${file%.*}.schema.json >$(BUILD)/man/$$file.5 || exit 1; done
	@for shell in bash zsh fish; do \
		case $$shell in bash) form=%s.bash ;; zsh) form=_%s ;; fish) form=%s.fish ;; esac; \
		$(BUILD)/bin/glbctl completions $$shell >$(BUILD)/completions/$$(printf $$form glbctl) || exit 1; \
		for daemon in glb-healthcheck glb-targets; do \
			$(BUILD)/bin/$$daemon --generate $$shell >$(BUILD)/completions/$$(printf $$form $$daemon) || exit 1; done; done

.PHONY: deb
deb: ## Build the Debian packages into build/deb, in the lab's build root of KERNEL
	@packaging/deb $(KERNEL)

.PHONY: deb-modules
deb-modules: ## Build a package of the modules for exactly one kernel, KERNEL, into build/deb
	@packaging/deb-modules $(KERNEL)

.PHONY: install
install: ## Install the modules and tools that were built on this machine (as root)
	install -d $(DESTDIR)/lib/modules/$(notdir $(patsubst %/build,%,$(KDIR)))/updates $(DESTDIR)/usr/sbin $(DESTDIR)$(XTLIBDIR)
	install -m 644 $(BUILD)/*.ko $(DESTDIR)/lib/modules/$(notdir $(patsubst %/build,%,$(KDIR)))/updates/
	install -m 644 $(BUILD)/xtables/*.so $(DESTDIR)$(XTLIBDIR)/
	if ls $(BUILD)/bin/* >/dev/null 2>&1; then cp -P $(BUILD)/bin/* $(DESTDIR)/usr/sbin/; fi
	$(if $(DESTDIR),,depmod $(notdir $(patsubst %/build,%,$(KDIR))))

.PHONY: test
test: ## Run every test: lint, units, and the lab on KERNEL (default stock)
	@tests/run --kernel $(KERNEL) $(if $(T),--only '$(T)')

.PHONY: test-packages
test-packages: ## Install the packages on a fresh Debian, boot it, upgrade its kernel, purge (15 minutes)
	@tests/packages/run --kernel $(KERNEL)

# The time for all fuzz targets together, in seconds.
FUZZ_SECONDS ?= 210

.PHONY: fuzz
fuzz: ## Fuzz every parser of outside bytes, FUZZ_SECONDS (default 210) in all
	@tests/vm/build --kernel $(KERNEL) -- fuzz/run $(FUZZ_SECONDS)

.PHONY: demo
demo: ## Boot the example network with CONNECTIONS=2000, drain, fill, fail; tables and figures in out/ (7 minutes)
	@tests/demo/run --kernel $(KERNEL) --connections $(CONNECTIONS)

.PHONY: demo-second-chance
demo-second-chance: ## Boot the lab and show a download that survives when its packets move to another proxy (1 minute)
	@tests/vm/run --kernel $(KERNEL) -- /tests/demo/second-chance.sh

.PHONY: demo-gateway
demo-gateway: ## Boot the lab and show an appliance behind a gateway load balancer, both modes; figure in out/ (1 minute)
	@tests/demo/run-gateway --kernel $(KERNEL)

.PHONY: bench
bench: ## Measure in the lab and natively, and write docs/benchmarks.md with its data and plots
	@tests/bench/run

.PHONY: clean
clean: ## Remove the built files (the lab's cache stays: tests/vm/README.md)
	rm -rf build target out
