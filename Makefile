# weir's front door. `make` lists what there is.
# As root, with sudo, or as a user who has sudo: building happens as the user, the kernel's side as root.

# The filter of the report's `make run`; two servers are their own filter. `weir serve` by itself takes valid-command.
filter ?= $(if $(filter socketfilter snoop-filter,$(server)),valid-command,simple-socket-filter)
server ?=
flags ?=

WEIR := target/release/weir
CARGO := scripts/as-user cargo
ROOT := scripts/as-root

.PHONY: help setup setup-tests build build-release run client experiment test kernels bench clean
help:
	@echo 'make experiment   set up, build, and measure: filter in the kernel or in user space? (half a minute once built)'
	@echo 'make test         everything that CI runs'
	@echo 'make kernels      everything on kernels from 5.10 to the newest, in emulated machines, and here, as root'
	@echo 'make setup        install what building needs and this machine lacks'
	@echo 'make build        a debug build;  make build-release: one binary, $(WEIR)'
	@echo 'make run filter=valid-command server=simple-server flags="-v"   without filter=: simple-socket-filter'
	@echo 'make client flags="-b odin"'
	@echo 'make bench        print the figures that weir promises, measured here'
	@echo 'make clean        remove what was built (results stay)'

setup:
	@scripts/setup.sh

setup-tests:
	@scripts/setup.sh --tests

build: setup
	$(CARGO) build

build-release: setup
	$(CARGO) build --release

run: build-release
	$(ROOT) $(WEIR) serve --filter $(filter) $(if $(server),--server $(server)) $(flags)

client: build-release
	$(WEIR) client $(flags)

# What root measured belongs to whoever asked for it.
experiment: build-release
	@$(ROOT) $(WEIR) experiment kernel-or-user $(flags); status=$$?; \
	[ ! -d results ] || $(ROOT) chown -Rh "$${SUDO_UID:-$$(id -u)}:$${SUDO_GID:-$$(id -g)}" results; \
	exit $$status

bench: build-release
	$(ROOT) $(WEIR) bench $(flags)

test: setup-tests
	@scripts/test.sh

kernels:
	@scripts/setup.sh --kernels
	@scripts/kernels.sh

clean:
	$(CARGO) clean
