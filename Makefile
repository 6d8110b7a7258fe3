# Targets for users (all, run, demo, install, uninstall, static, dist) and for developers (test, check,
# bench, lint-man, clean).
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

BINARY  = target/release/tokenpak
PAGES   = $(wildcard man/*.[1-8])
COMP_BASH = bash-completion/completions/tokenpak
COMP_ZSH  = zsh/site-functions/_tokenpak
COMP_FISH = fish/vendor_completions.d/tokenpak.fish
# Set it to run a program of another machine: its completions and units are printed by itself.
RUN     =

# What `static` and `dist` build for: this machine with musl, if Rust has that, else with glibc. Elsewhere:
# make dist TARGET=aarch64-unknown-linux-musl
HOST    = $(shell uname -m)
LIBS    = $(shell rustc --print sysroot)/lib/rustlib
TARGET  = $(HOST)-unknown-linux-$(if $(wildcard $(LIBS)/$(HOST)-unknown-linux-musl),musl,gnu)
CPU     = $(firstword $(subst -, ,$(TARGET)))
FOREIGN = $(filter-out $(HOST),$(CPU))
STATIC  = target/$(TARGET)/release/tokenpak
VERSION = $(shell sed -n '/^version = "\(.*\)"/{s//\1/p;q;}' Cargo.toml)
DIST    = tokenpak-$(VERSION)-$(CPU)-linux
# The C compiler for SQLite and TLS, and the linker. Debian's compiler for another machine is one for glibc;
# nothing of that gets into the program, which Rust's own musl is linked to.
CROSS   = $(if $(FOREIGN),$(CPU)-linux-gnu-gcc,$(if $(filter %-musl,$(TARGET)),musl-gcc,cc))
EMULATE = $(if $(FOREIGN),qemu-$(CPU))
# Parts of SQLite that nothing here uses: full-text search, R-trees, extensions and others.
SQLITE  = $(foreach part,ENABLE_FTS3 ENABLE_FTS3_PARENTHESIS ENABLE_FTS5 ENABLE_RTREE ENABLE_STAT4 \
	ENABLE_DBSTAT_VTAB ENABLE_LOAD_EXTENSION ENABLE_COLUMN_METADATA SOUNDEX,-USQLITE_$(part)) \
	-DSQLITE_OMIT_LOAD_EXTENSION

all:
	$(CARGO) build --locked --release

run:
	$(CARGO) run --locked --release -- serve

# No key and no network needed: a provider stand-in answers.
demo: all
	$(CARGO) build --locked --release --example demo
	@target/release/examples/demo $(BINARY)

# What cannot be tested on this machine is named in the output, behind the word SKIPPED.
test:
	$(CARGO) test --locked

# Printed: how fast texts are counted (TEXTS="file ..." adds yours), what each mode saves of the requests
# in ../shared/corpus and how long that takes, and the bill of every session; fails where one gets dearer.
bench:
	$(CARGO) build --locked --release --example token-speed --example compression-table
	@target/release/examples/token-speed $(TEXTS)
	@target/release/examples/compression-table

check:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(MAKE) test
	$(MAKE) lint-man

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
	env CC_$(subst -,_,$(TARGET))=$(CROSS) LIBSQLITE3_FLAGS="$(SQLITE)" \
		RUSTFLAGS="-C target-feature=+crt-static $(if $(FOREIGN),-C linker=$(CROSS))" \
		$(CARGO) build --locked --release --target $(TARGET)
	@ls -l $(STATIC)

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

.PHONY: all run demo test check bench lint-man static dist install uninstall clean
