# Targets for users (all, run, demo, install, uninstall) and for developers (test, check, bench, lint-man,
# clean).
# Building needs Rust and a C compiler, for the bundled SQLite; installing needs neither.

CARGO   = cargo
PREFIX  = /usr/local
DESTDIR =
BINDIR  = $(PREFIX)/bin
MANDIR  = $(PREFIX)/share/man

BINARY  = target/release/tokenpak
PAGES   = $(wildcard man/*.[1-8])

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

# After `make`, also as root and on a machine without cargo.
install:
	@test -x $(BINARY) || { echo "$(BINARY) is not there yet; make it with: make" >&2; exit 1; }
	install -D -m 755 $(BINARY) $(DESTDIR)$(BINDIR)/tokenpak
	for page in $(PAGES); do install -D -m 644 $$page \
		$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit 1; done

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/tokenpak
	for page in $(PAGES); do rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; done

clean:
	$(CARGO) clean

.PHONY: all run demo test check bench lint-man install uninstall clean
