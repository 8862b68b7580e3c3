# SPDX-License-Identifier: Apache-2.0
# `make help` says what there is.

OUT := .output
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := $(shell cat VERSION 2>/dev/null || echo 0.1.0)
export PATH := $(PATH):/usr/sbin:/sbin

CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
BPFTOOL ?= bpftool
PKG_CONFIG ?= pkg-config

ifeq ($(V),1)
Q :=
say := @:
else
Q := @
say := @printf '  %-8s %s\n'
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:

# Programs that only build once `make deps` has been here must not be asked for anything while this file is read.
PACKAGES := libbpf yaml-0.1 jansson libmnl libpcre2-8 libseccomp libnftables openssl ncursesw
LIBS = $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null || echo -lbpf -lyaml -ljansson -lmnl -lpcre2-8 -lseccomp -lnftables -lssl -lcrypto -lncursesw -ltinfo) -lelf -lz -lm
JOBS = -j$(shell nproc 2>/dev/null || echo 1)
MULTIARCH = $(shell $(CC) -print-multiarch)

INCLUDES := -Iheaders -Iuser -I. -I$(OUT)/bpf
CPPFLAGS := $(INCLUDES) -D_GNU_SOURCE= -DWEFT_VERSION='"$(VERSION)"' -DWEFT_ASSETS='"$(OUT)/assets"'
WARN := -Wall -Wextra -Werror
CFLAGS ?= -O2 -g
STD := -std=gnu11
SAN := -fsanitize=address,undefined -fno-sanitize-recover=undefined
SAN_CFLAGS := -O1 -gline-tables-only $(SAN) -fsanitize=fuzzer-no-link -fno-omit-frame-pointer
BPF_CFLAGS = -target bpf -mcpu=v3 -O2 -g -ffile-prefix-map=$(CURDIR)=. -Wall -Werror -Iheaders -Ibpf -I/usr/include/$(MULTIARCH)
LDFLAGS ?=

LIB_SRC := $(wildcard user/lib/*/*.c)
DAEMON_SRC := $(wildcard user/daemon/*/*.c)
CLI_SRC := $(wildcard user/cli/*.c)
PROXY_SRC := $(wildcard user/proxy/*/*.c)
BPF_SRC := $(wildcard bpf/*.bpf.c)
UNIT_SRC := $(wildcard selftests/unit/*.c)
PROG_SRC := $(wildcard selftests/prog/*.c)
FUZZ_SRC := $(wildcard selftests/fuzz/*.c)
APP_SRC := $(wildcard selftests/apps/tcp-*.c selftests/apps/http-*.c selftests/apps/connect-*.c selftests/apps/informer-*.c)
BENCH_SRC := $(wildcard selftests/bench/*.c)

objects = $(patsubst %.c,$(OUT)/$(1)/%.o,$(2))
not_main = $(filter-out %/main.c,$(1))

SKELS := $(BPF_SRC:bpf/%.bpf.c=$(OUT)/bpf/%.skel.h)
APPS := $(APP_SRC:selftests/apps/%.c=$(OUT)/apps/%)
BENCHES := $(BENCH_SRC:selftests/bench/%.c=$(OUT)/bench/%)
FUZZERS := $(FUZZ_SRC:selftests/fuzz/%.c=$(OUT)/fuzz/%)
UNIT := $(if $(UNIT_SRC),$(OUT)/unit-tests)
PROG := $(if $(PROG_SRC),$(OUT)/prog-tests)
BINARIES := $(if $(DAEMON_SRC),$(OUT)/weftd) $(if $(CLI_SRC),$(OUT)/weft) \
	$(if $(filter %/main.c,$(PROXY_SRC)),$(OUT)/weft-proxy)

DASHBOARDS := $(addprefix $(OUT)/grafana/weft-,mesh.json service.json workload.json agent.json)
RULES := packaging/prometheus/weft.rules.yaml
MAN := $(OUT)/man/weft.1 $(OUT)/man/weftd.8 $(OUT)/man/weft-proxy.8

.PHONY: help deps all demo check check-run unit format shell rooms man installed stack-depth tidy rules build test test-kube test-cluster vmtest bench bench-l4 bench-xdp bench-l7 bench-tls bench-mtls bench-metrics bench-page bench-kube \
	fuzz fuzzers fuzz-minute fmt image deb install installable install-files put-files uninstall clean

##@ Make
help: ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' Makefile

deps: ## install the packages of packages.txt that are missing (root, if any is)
	@selftests/deps packages.txt

all: $(BINARIES) $(MAN) $(APPS) $(PROG) ## build weftd, weft and the test programs

demo: deps ## the tcp-echo tutorial between network namespaces (root)
	@selftests/as-owner $(MAKE) --no-print-directory $(JOBS) $(BINARIES) $(APPS)
	@selftests/demo.sh

check: deps ## everything that needs no root: units under sanitizers, format, tidy, fuzzing for a minute
	@$(MAKE) --no-print-directory $(JOBS) check-run

check-run: format shell rooms man installed unit stack-depth tidy fuzz-minute
	@echo '  CHECK    passed'

build: deps ## all that tests need
	@selftests/as-owner $(MAKE) --no-print-directory $(JOBS) $(UNIT) all

test: build ## all tests: units, BPF programs, real sockets between namespaces, clusters (root; WHAT='net kube/pace' for some)
	@$(if $(WHAT),,selftests/cluster/prepare --idle >/dev/null 2>&1 &) selftests/run $(WHAT)

test-kube: deps ## the tests against a real API server (root; Go to build it)
	@selftests/as-owner $(MAKE) --no-print-directory $(JOBS) all
	@selftests/run kube

test-cluster: deps ## the tutorials by kubectl on a real cluster of two nodes (root; Go to build it)
	@selftests/as-owner $(MAKE) --no-print-directory $(JOBS) all
	@selftests/run cluster

vmtest: all ## the same on kernels 6.1 and 6.12, in VMs
	@./vmtest.sh

bench: bench-l4 bench-xdp bench-l7 bench-tls bench-mtls bench-metrics bench-page bench-kube ## all measurements

bench-l4: deps ## L4: against direct routing and iptables; writes selftests/bench/RESULTS.md (root)
	@selftests/as-owner $(MAKE) --no-print-directory $(JOBS) all $(BENCHES)
	@selftests/bench/bench-l4.sh

bench-xdp: deps ## packets from outside to another node, and unwanted ones: XDP, tc, iptables; writes selftests/bench/RESULTS-XDP.md (root)
	@selftests/deps selftests/bench/packages-xdp.txt
	@selftests/as-owner $(MAKE) --no-print-directory $(JOBS) all $(BENCHES)
	@selftests/bench/bench-xdp.sh

bench-l7: deps ## L7: against nginx and HAProxy, which it installs; writes selftests/bench/RESULTS-L7.md (root)
	@selftests/deps selftests/bench/packages-l7.txt
	@selftests/as-owner $(MAKE) --no-print-directory $(JOBS) all
	@selftests/bench/bench-l7.sh

bench-tls: deps ## TLS at a Gateway: against nginx and HAProxy, which it installs; writes selftests/bench/RESULTS-TLS.md (root)
	@selftests/deps selftests/bench/packages-l7.txt
	@selftests/as-owner $(MAKE) --no-print-directory $(JOBS) all $(BENCHES)
	@selftests/bench/bench-tls.sh

bench-mtls: deps ## mutual TLS between two nodes: against two HAProxies, which it installs; writes selftests/bench/RESULTS-MTLS.md (root)
	@selftests/deps selftests/bench/packages-mtls.txt
	@selftests/as-owner $(MAKE) --no-print-directory $(JOBS) all $(BENCHES)
	@selftests/bench/bench-mtls.sh

bench-page: ## how long the page of 1,000 services takes for a frame: in Chromium, which it installs, with Node.js (root)
	@selftests/bench/bench-page.sh

bench-metrics: deps ## what a scrape of /metrics costs; writes selftests/bench/RESULTS-METRICS.md (root)
	@selftests/as-owner $(MAKE) --no-print-directory $(JOBS) all
	@selftests/bench/bench-metrics.sh

bench-kube: deps ## a cluster of 10,000 pods on a real API server; writes selftests/bench/RESULTS-KUBE.md (root; Go to build it)
	@selftests/as-owner $(MAKE) --no-print-directory $(JOBS) all
	@selftests/cluster/prepare optimised
	@selftests/bench/bench-kube.sh

fuzz: $(FUZZERS) ## fuzz until stopped (FUZZ=NAME for one target)
	@selftests/fuzz-all 0 $(if $(FUZZ),$(OUT)/fuzz/$(FUZZ),$(FUZZERS))

fmt: ## reformat all sources
	$(Q)clang-format -i $(FORMATTED) && clang-format -i $(FORMATTED)

install: ## build, and install under $(DESTDIR)$(PREFIX)
	@selftests/as-owner $(MAKE) --no-print-directory $(JOBS) installable
	@$(MAKE) --no-print-directory install-files

uninstall: ## take weft off this machine: its programs out of the kernel, and what `make install` put under $(DESTDIR)$(PREFIX)
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' packaging/uninstall

image: deps ## an image of containers, as one tar: $(OUT)/image/weft-VERSION.tar
	@selftests/as-owner $(MAKE) --no-print-directory $(JOBS) $(BINARIES)
	@packaging/image $(OUT) $(VERSION) $(OUT)/image/weft-$(VERSION).tar

deb: deps ## a Debian package: $(OUT)/deb/weft_VERSION_ARCH.deb
	@selftests/as-owner $(MAKE) --no-print-directory $(JOBS) installable
	@packaging/deb $(OUT) $(VERSION) $(OUT)/deb

clean: ## remove what was built
	$(Q)rm -rf $(OUT)

# ---- what is installed ----

installable: $(BINARIES) $(MAN) $(DASHBOARDS)

# The files, and a list of them for `make uninstall`.
install-files:
	$(Q)stage=$$(mktemp -d) && trap "rm -rf $$stage" EXIT && \
	$(MAKE) --no-print-directory put-files DESTDIR=$$stage && $(MAKE) --no-print-directory put-files && \
	{ (cd $$stage$(PREFIX) && find . -type f); echo ./share/weft/installed; } | sort >$(DESTDIR)$(PREFIX)/share/weft/installed
	$(Q)[ -n '$(DESTDIR)' ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload

put-files:
	$(Q)install -D -m 755 $(OUT)/weft $(DESTDIR)$(PREFIX)/bin/weft
	$(Q)install -D -m 755 $(OUT)/weftd $(DESTDIR)$(PREFIX)/sbin/weftd
	$(Q)install -D -m 755 $(OUT)/weft-proxy $(DESTDIR)$(PREFIX)/libexec/weft/weft-proxy
	$(Q)for shell in bash zsh fish; do \
		case $$shell in \
		bash) to=bash-completion/completions/weft;; \
		zsh) to=zsh/site-functions/_weft;; \
		fish) to=fish/vendor_completions.d/weft.fish;; \
		esac; \
		install -d $(DESTDIR)$(PREFIX)/share/$${to%/*} && \
		$(OUT)/weft completion $$shell >$(DESTDIR)$(PREFIX)/share/$$to || exit 1; \
	done
	$(Q)for file in $$(cd yaml-rules && find . -type f); do \
		install -D -m $$(test -x yaml-rules/$$file && echo 755 || echo 644) yaml-rules/$$file $(DESTDIR)$(PREFIX)/share/weft/yaml-rules/$$file || exit 1; \
	done
	$(Q)for file in $(DASHBOARDS); do install -D -m 644 $$file $(DESTDIR)$(PREFIX)/share/weft/grafana/$${file##*/} || exit 1; done
	$(Q)install -D -m 644 $(RULES) $(DESTDIR)$(PREFIX)/share/weft/prometheus/$(notdir $(RULES))
	$(Q)for page in $(MAN); do \
		to=$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; \
		install -D -m 644 $$page $$to && sed -i 's,@PREFIX@,$(PREFIX),' $$to || exit 1; \
	done
	$(Q)install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	$(Q)sed 's,@PREFIX@,$(PREFIX),' packaging/weftd.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/weftd.service
	$(Q)for page in docs/*.md; do install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/doc/weft/$$page || exit 1; done
	$(Q)install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/weft/LICENSE

# ---- BPF ----

# Kernels after 6.1 take what 6.1 has too little stack for: the object is gone again if a program of it needs more.
$(OUT)/bpf/%.bpf.o: bpf/%.bpf.c bpf/stack-depth
	$(say) BPF $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
	$(Q)bpf/stack-depth $@

$(OUT)/bpf/%.skel.h: $(OUT)/bpf/%.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf >$@

# ---- dashboards ----

$(DASHBOARDS) &: packaging/grafana/dashboards.py
	$(say) GRAFANA $(OUT)/grafana
	$(Q)/usr/bin/python3 $< $(OUT)/grafana

# What a manifest has of them is in the programs.
MANIFEST_FILES := $(foreach flavour,obj san,$(OUT)/$(flavour)/user/lib/manifest/files.o) $(OUT)/tidy/user/lib/manifest/files.ok
$(MANIFEST_FILES): $(DASHBOARDS) $(RULES)
$(MANIFEST_FILES): CPPFLAGS += -DWEFT_GRAFANA='"$(OUT)/grafana"'

# ---- userspace: the same sources twice, in $(OUT)/{obj,san}: for use, and with sanitizers for tests of units and fuzzers ----

# A header that is only there once it is generated: all skeletons come before the first object that may include one.
$(call objects,obj,$(DAEMON_SRC) $(PROG_SRC)) $(call objects,san,$(DAEMON_SRC) $(UNIT_SRC)): | $(SKELS)

# The page's files, which an object has in it: what includes them is not seen by -MMD.
ASSETS := $(patsubst user/daemon/page/assets/%,$(OUT)/assets/%.gz,$(wildcard user/daemon/page/assets/*))
$(OUT)/assets/%.gz: user/daemon/page/assets/%
	$(say) GZIP $@
	$(Q)mkdir -p $(@D)
	$(Q)gzip -9nc $< >$@
$(patsubst %,$(OUT)/%/user/daemon/page/assets.o,obj san): $(ASSETS)

# flavour NAME,WHAT IS SAID,COMPILER,FLAGS
define flavour
$$(OUT)/$(1)/%.o: %.c
	$$(say) $(2) $$@
	$$(Q)mkdir -p $$(@D)
	$$(Q)$(3) $$(STD) $(4) $$(WARN) $$(CPPFLAGS) -MMD -MP -c $$< -o $$@
endef
$(eval $(call flavour,obj,CC,$$(CC),$$(CFLAGS) $$(MORE_CFLAGS)))
$(eval $(call flavour,san,SAN,$$(CLANG),$$(SAN_CFLAGS)))

define archive
$(say) AR $@
$(Q)rm -f $@ && $(AR) qcs $@ $^
endef

# Members of one name, of two rooms, are both kept: `q`.
# archives FLAVOUR,SUFFIX
define archives
$$(OUT)/libweft.$(2)a: $$(call objects,$(1),$$(LIB_SRC))
	$$(archive)
$$(OUT)/libweftd.$(2)a: $$(call objects,$(1),$$(call not_main,$$(DAEMON_SRC)))
	$$(archive)
$$(OUT)/libweftcli.$(2)a: $$(call objects,$(1),$$(call not_main,$$(CLI_SRC)))
	$$(archive)
$$(OUT)/libweftproxy.$(2)a: $$(call objects,$(1),$$(call not_main,$$(PROXY_SRC)))
	$$(archive)
endef
$(eval $(call archives,obj,))
$(eval $(call archives,san,san.))

define link
$(say) LINK $@
$(Q)mkdir -p $(@D)
$(Q)$(CC) $(CFLAGS) $(MORE_CFLAGS) $(LDFLAGS) -Wl,--as-needed $(filter %.o,$^) $(filter %.a,$^) $(filter %.a,$^) $(LIBS) $(LINK_MORE) -o $@
endef

$(OUT)/weftd: $(call objects,obj,$(DAEMON_SRC)) $(OUT)/libweft.a
	$(link)
$(OUT)/weft: $(call objects,obj,$(CLI_SRC)) $(OUT)/libweft.a
	$(link)
$(OUT)/weftd $(OUT)/weft-proxy: LINK_MORE := -pthread
# What it does for a request is in many small functions: the linker puts them together.
LTO ?= -flto=auto
$(call objects,obj,$(PROXY_SRC)) $(OUT)/weft-proxy: private MORE_CFLAGS = $(LTO)
$(OUT)/weft-proxy: $(call objects,obj,$(PROXY_SRC)) $(OUT)/libweft.a
	$(link)
$(OUT)/prog-tests: LINK_MORE := -lcriterion
$(OUT)/prog-tests: $(call objects,obj,$(PROG_SRC)) $(OUT)/libweftd.a $(OUT)/libweft.a
	$(link)
$(OUT)/unit-tests: $(call objects,san,$(UNIT_SRC)) $(OUT)/libweftcli.san.a $(OUT)/libweftd.san.a $(OUT)/libweftproxy.san.a \
	$(OUT)/libweft.san.a
	$(say) LINK $@
	$(Q)$(CLANG) $(SAN) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) $(filter %.a,$^) $(LIBS) -lcriterion -o $@
$(OUT)/apps/tcp-load: $(call objects,obj,$(wildcard selftests/apps/load_*.c))
HTTP_APPS := $(filter $(OUT)/apps/http-%,$(APPS))
$(HTTP_APPS): $(OUT)/obj/selftests/apps/http_common.o $(OUT)/libweftproxy.a $(OUT)/libweft.a
$(OUT)/apps/informer-copy $(OUT)/apps/informer-identity: LINK_MORE := -pthread
$(OUT)/apps/informer-copy $(OUT)/apps/informer-identity: $(OUT)/libweftd.a $(OUT)/libweft.a
$(OUT)/apps/http-echo: $(OUT)/obj/selftests/apps/http_echo_answer.o
$(OUT)/apps/http-load: $(call objects,obj,$(wildcard selftests/apps/http_load_*.c))
$(OUT)/apps/%: $(OUT)/obj/selftests/apps/%.o
	$(link)
$(OUT)/bench/%: $(OUT)/obj/selftests/bench/%.o $(OUT)/libweft.a
	$(link)
$(OUT)/fuzz/fuzz_h1_compare: LINK_MORE := -lhttp_parser
$(OUT)/fuzz/%: $(OUT)/san/selftests/fuzz/%.o $(OUT)/libweftd.san.a $(OUT)/libweftproxy.san.a $(OUT)/libweft.san.a
	$(say) LINK $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(SAN) -fsanitize=fuzzer $(filter %.o,$^) $(filter %.a,$^) $(LIBS) $(LINK_MORE) -o $@

# ---- checks ----

FORMATTED := $(wildcard headers/weft/*.h bpf/*.h bpf/*.c user/cli/*.h user/cli/*.c user/*/*/*.h user/*/*/*.c selftests/*/*.h selftests/*/*.c)

format:
	$(say) FORMAT
	$(Q)clang-format --dry-run -Werror $(FORMATTED)

# What a script takes from another one that it sources is not looked for: that takes minutes.
SCRIPTS = .ci/run $(shell grep -rlE '^\#!/bin/(ba)?sh|^\# shellcheck shell=' docs/man packaging selftests vmtest.sh yaml-rules)

shell:
	$(say) SHELL
	$(Q)shellcheck -S warning -e SC1091,SC2034,SC2154 $(SCRIPTS)

# A room includes what is above it, and nothing else.
rooms:
	$(say) ROOMS
	$(Q)selftests/rooms $(wildcard user/cli/*.[ch] user/*/*/*.[ch])

# Options and commands in it are what the programs say themselves.
$(OUT)/man/%: docs/man/% docs/man/fill $(BINARIES)
	$(say) MAN $@
	$(Q)mkdir -p $(@D)
	$(Q)docs/man/fill $(OUT) <$< >$@

man: $(MAN)
	$(Q)mandoc -T lint -W warning $(MAN)

installed: installable
	$(say) INSTALL
	$(Q)selftests/installed

unit: $(UNIT)
	$(say) UNIT
	$(Q)$(if $(UNIT),$(UNIT) --timeout 120 -j$$((3 * $$(nproc))) $(if $(filter 1,$(V)),--verbose))

TIDY_SRC := $(LIB_SRC) $(DAEMON_SRC) $(CLI_SRC) $(PROXY_SRC)
TIDIED := $(TIDY_SRC:%.c=$(OUT)/tidy/%.ok)

stack-depth:
	$(say) STACK
	$(Q)CLANG='$(CLANG)' CC='$(CC)' selftests/stack-depth.sh

tidy: $(TIDIED)

# The analyzer gives a function up after so many steps: a ninth of its default. Three times as many take 2.5 times as long, and reach 1,304 of
# 1,309 blocks in place of 1,300 (debug.Stats, 28 files).
TIDY_FLAGS := -Xclang -analyzer-config -Xclang max-nodes=25000

# Not looked at again until the file or a header changes.
$(OUT)/tidy/%.ok: %.c $(OUT)/obj/%.o .clang-tidy
	$(say) TIDY $<
	$(Q)mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- $(STD) -isystem $(OUT)/bpf $(CPPFLAGS) $(TIDY_FLAGS) 2>$(@:.ok=.err) || { cat $(@:.ok=.err); exit 1; }
	$(Q)touch $@

fuzzers: $(FUZZERS)

fuzz-minute: $(FUZZERS)
	$(say) FUZZ $(notdir $(FUZZERS))
	$(Q)$(if $(FUZZERS),selftests/fuzz-all 60 $(FUZZERS))

-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
