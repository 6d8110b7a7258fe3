# Targets for users (all, run, demo, install, uninstall, static, dist) and for developers (test, check, fuzz,
# test-static, test-clients, bench, lint-man, clean).
# Building needs Rust and a C compiler, for the bundled SQLite; installing needs neither.

CARGO   = cargo
PREFIX  = /usr/local
DESTDIR =
BINDIR  = $(PREFIX)/bin
MANDIR  = $(PREFIX)/share/man
# Below it `system` and `user`, for units, and the places where three shells look.
UNITDIR = $(PREFIX)/lib/systemd
COMPDIR = $(PREFIX)/share
DOCDIR  = $(PREFIX)/share/doc/tokenpak

# Where cargo builds, unless it is told otherwise.
BUILT   = $(or $(CARGO_TARGET_DIR),target)
BINARY  = $(BUILT)/release/tokenpak
PAGES   = $(wildcard man/*.[1-8])
COMP_BASH = bash-completion/completions/tokenpak
COMP_ZSH  = zsh/site-functions/_tokenpak
COMP_FISH = fish/vendor_completions.d/tokenpak.fish
# Where tests/clients/install puts what `test-clients` runs.
CLIENTS = target/clients
# Set it to run a program of another machine: its completions and units are printed by itself.
RUN     =

# What `static` and `dist` build for: this machine with musl, if Rust has that, else with glibc. Elsewhere:
# make dist TARGET=aarch64-unknown-linux-musl
HOST    = $(shell uname -m)
LIBS    = $(shell rustc --print sysroot)/lib/rustlib
TARGET  = $(HOST)-unknown-linux-$(if $(wildcard $(LIBS)/$(HOST)-unknown-linux-musl),musl,gnu)
CPU     = $(firstword $(subst -, ,$(TARGET)))
FOREIGN = $(filter-out $(HOST),$(CPU))
STATIC  = $(BUILT)/$(TARGET)/release/tokenpak
VERSION = $(shell sed -n '/^version = "\(.*\)"/{s//\1/p;q;}' Cargo.toml)
DIST    = tokenpak-$(VERSION)-$(CPU)-linux
# The C compiler for SQLite and TLS, which also links. Debian's compiler for another machine is one for glibc;
# nothing of that gets into the program, which Rust's own musl is linked to: it only must not rename
# functions for large files, as glibc's headers do.
CROSS   = $(if $(FOREIGN),$(CPU)-linux-gnu-gcc,$(if $(filter %-musl,$(TARGET)),musl-gcc,cc))
EMULATE = $(if $(FOREIGN),qemu-$(CPU))
# Nothing unwinds through C.
C_FLAGS = -fno-asynchronous-unwind-tables $(if $(FOREIGN),-DSQLITE_DISABLE_LFS)
# Little is inlined but what is said to be: 0.3 MB less, and counting is 4 % slower. Less still where the
# program has to stay below 6 MB: 18 KB, for up to a fifth of the processor time of a small request.
SMALL   = -C llvm-args=-inline-threshold=10 -C llvm-args=-inlinehint-threshold=40
SMALLER = -C llvm-args=-inline-threshold=5 -C llvm-args=-inlinehint-threshold=30
# Rust's own linker, where it came with one, writes relocations in short; musl understands that. It keeps
# equal functions once where nothing looks at their addresses, and the ends of strings in longer ones.
LLD     = $(wildcard $(LIBS)/$(shell rustc -vV | sed -n 's/^host: //p')/bin/gcc-ld)
LINK    = -C link-arg=-B$(LLD) -C link-arg=-fuse-ld=lld -C link-arg=-Wl,-z,pack-relative-relocs -C link-arg=-Wl,--icf=all -C link-arg=-Wl,-O2

all:
	$(CARGO) rustc --locked --release --bin tokenpak -- $(SMALL)

run: all
	@$(BINARY) serve

# No key and no network needed: a provider stand-in answers.
demo: all
	$(CARGO) build --locked --release --example demo
	@$(BUILT)/release/examples/demo $(BINARY)

# What cannot be tested on this machine is named in the output, behind the word SKIPPED.
# Most of the tests wait for something most of the time: with as many threads as processors they take twice as
# long.
test:
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-12} $(CARGO) test --locked

# Real clients through the program. Get them before: tests/clients/install target/clients
test-clients:
	TOKENPAK_TEST_CLIENTS="$(abspath $(CLIENTS))" $(CARGO) test --locked --test clients -- --nocapture

# The project's own figures. TABLES="counting ledger" prints some of the tables (counting savings bills
# speed hostile sessions memory ledger reports start), TEXTS="file ..." counts yours, too; it fails where a
# session gets dearer, or where work grows faster than a prompt. What the proxy adds to requests on the wire is measured side by side with nginx and
# haproxy by the harness in ../shared/bench; the last lines of the output are its commands.
bench: all
	$(CARGO) rustc --locked --release --example bench -- $(SMALL)
	@$(BUILT)/release/examples/bench --binary $(BINARY) $(TABLES) $(TEXTS)
	@echo "Requests on the wire, beside nginx and haproxy, in one sitting:"
	@echo "    ../shared/bench/run.sh 'env TOKENPAK_HOME=/tmp/tokenpak-bench" \
		"TOKENPAK_PROXY_PROVIDERS_OPENAI_URL=\$$BENCH_UPSTREAM $(BINARY) serve --port \$$PORT' 18766"
	@for peer in nginx haproxy; do \
		echo "    ../shared/bench/run.sh '../shared/bench/peers/$$peer.sh 18811' 18811"; done

check:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --test clients -- -D warnings
	$(MAKE) test
	$(MAKE) lint-man

# Generated input, the same few of each kind in `test`; here other ones, for so long each. A failure names its
# seed: TOKENPAK_FUZZ_SEED=... make test.
SECONDS = 600
fuzz:
	TOKENPAK_FUZZ_SECONDS=$(SECONDS) $(CARGO) test --locked --bin tokenpak fuzz::
	TOKENPAK_FUZZ=$$(($(SECONDS) * 20000)) $(CARGO) test --locked --bin tokenpak properties

lint-man:
	@if command -v mandoc >/dev/null; then mandoc -T lint -W warning $(PAGES); \
	elif command -v groff >/dev/null; then \
		out=$$(groff -mdoc -ww -z $(PAGES) 2>&1) || true; echo "$$out"; test -z "$$out"; \
	else echo "SKIPPED lint-man: neither mandoc nor groff is here"; test -z "$$TOKENPAK_TEST_STRICT"; fi

# One file that needs no library and no other file.
static:
	@lacks=; for tool in $(CARGO) rustc $(CROSS); do \
		command -v $$tool >/dev/null || lacks="$$lacks $$tool"; done; \
	test -d $(LIBS)/$(TARGET) || lacks="$$lacks rust-std for $(TARGET) (rustup target add $(TARGET))"; \
	test -z "$$lacks" || { echo "static: not here:$$lacks" >&2; exit 1; }
	env CC_$(subst -,_,$(TARGET))=$(CROSS) CFLAGS_$(subst -,_,$(TARGET))="$(C_FLAGS)" \
		RUSTFLAGS="-C target-feature=+crt-static $(if $(FOREIGN),-C linker=$(CROSS))" \
		$(CARGO) rustc --locked --release --target $(TARGET) --bin tokenpak -- \
		$(SMALLER) $(and $(LLD),$(filter %-musl,$(TARGET)),$(LINK))
	@ls -l $(STATIC)

# That binary in an empty root (as root), or another machine's under qemu-user; neither is part of `test`.
test-static: static
	TOKENPAK_TEST_STATIC=$(abspath $(STATIC)) \
		TOKENPAK_TEST_EMULATOR=$(if $(EMULATE),$$(command -v $(EMULATE) || echo $(EMULATE))) \
		$(CARGO) test --locked --test outside static_binary

# target/$(DIST).tar.gz holds what `install` installs: tar -C /usr/local --strip-components=1 -xzf it.
dist: static
	@lacks=; for tool in tar gzip install $(EMULATE); do \
		command -v $$tool >/dev/null || lacks="$$lacks $$tool"; done; \
	test -z "$$lacks" || { echo "dist: not here:$$lacks" >&2; exit 1; }
	rm -rf target/dist
	$(MAKE) install BINARY=$(STATIC) RUN=$(EMULATE) PREFIX=/usr/local DESTDIR=target/dist
	mv target/dist/usr/local target/dist/$(DIST)
	tar -C target/dist --owner=0 --group=0 --sort=name -czf target/$(DIST).tar.gz $(DIST)
	@ls -l target/$(DIST).tar.gz

# After `make`, also as root and on a machine without cargo.
install:
	@test -x $(BINARY) || { echo "$(BINARY) is not there yet; make it with: make" >&2; exit 1; }
	install -D -m 755 $(BINARY) $(DESTDIR)$(BINDIR)/tokenpak
	for page in $(PAGES); do install -D -m 644 $$page \
		$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit 1; done
	for file in README.md LICENSE; do install -D -m 644 $$file $(DESTDIR)$(DOCDIR)/$$file || exit 1; done
	for shell in bash zsh fish; do text=$$($(RUN) $(BINARY) completions $$shell) && case $$shell in \
		bash) file=$(COMP_BASH) ;; zsh) file=$(COMP_ZSH) ;; fish) file=$(COMP_FISH) ;; esac && \
		echo "$$text" | install -D -m 644 /dev/stdin $(DESTDIR)$(COMPDIR)/$$file || exit 1; done
	for whose in system user; do option=$$(test $$whose = user || echo --system); \
		text=$$($(RUN) $(BINARY) service install --print $$option) && \
		echo "$$text" | sed 's|^ExecStart=.*|ExecStart=$(BINDIR)/tokenpak serve|' | \
		install -D -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/$$whose/tokenpak.service || exit 1; done

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/tokenpak
	for page in $(PAGES); do rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; done
	for file in $(COMP_BASH) $(COMP_ZSH) $(COMP_FISH); do rm -f $(DESTDIR)$(COMPDIR)/$$file; done
	rm -f $(DESTDIR)$(UNITDIR)/system/tokenpak.service $(DESTDIR)$(UNITDIR)/user/tokenpak.service
	rm -rf $(DESTDIR)$(DOCDIR)

clean:
	$(CARGO) clean

.PHONY: all run demo test test-clients test-static check fuzz bench lint-man static dist install uninstall clean
