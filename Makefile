# The front door. Each target is a script in scripts/; Meson and ninja do the building.
PREFIX ?= /usr/local
ARGS ?=

all:                    ## build into build/
	@scripts/install-packages.sh build
	@scripts/build.sh

run:                    ## install what the build lacks, build, serve on http://127.0.0.1:7877 (ARGS="--listen …")
	@scripts/run.sh $(ARGS)

test:                   ## everything, with the real clients; ends with "N passed, N failed"
	@scripts/test.sh

unit:                   ## unit tests and style checks; seconds
	@scripts/unit.sh

deps:                   ## fetch everything that build and tests need; the only step that needs a network
	@scripts/deps-test.sh

install: all            ## install the program below PREFIX
	@scripts/install.sh "$(PREFIX)"

deb:                    ## a Debian package with its systemd unit, in build-deb/
	@scripts/install-packages.sh build
	@scripts/deb.sh

compat:                 ## the client stories again with older and other versions of huggingface_hub
	@scripts/compat.sh

soak:                   ## the long stories whole (gigabytes, minutes)
	@scripts/soak.sh

bench:                  ## make bench [T="row …"] [QUICK=1]: speed and memory against nginx and git
	@scripts/bench.sh $(T)

fuzz:                   ## make fuzz T=name [SECONDS=60]: one parser under libFuzzer; without T: lists them
	@scripts/fuzz.sh "$(T)"

fault:                  ## power cuts, calls that fail, full disks, bad clients (T="STORY …": some stories, 150 images)
	@scripts/fault.sh $(T)

lint:                   ## clang-tidy, cppcheck, gcc -fanalyzer, style checks
	@scripts/lint.sh

asan:                   ## unit and wire tests with address and undefined-behaviour sanitizers
	@scripts/sanitize.sh address,undefined build-asan

tsan:                   ## unit and wire tests with the thread sanitizer
	@scripts/sanitize.sh thread build-tsan

cover:                  ## line coverage of the unit and wire tests
	@scripts/cover.sh

help:                   ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 18

.PHONY: all run test unit deps install deb compat soak bench fuzz fault lint asan tsan cover help
.NOTPARALLEL:
