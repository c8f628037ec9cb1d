# SPDX-License-Identifier: GPL-2.0-only
# Everything that is built lives in the cache, outside of this tree (CACHE=).
export BASE ?= $(shell awk '!/^\#/ && NF {print $$1; exit}' patches/bases)
DIR =
SECONDS =
CSV = tools/bench/baseline.csv
cache = $${CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/gem-shrinker}

.PHONY: help run test test-debug kunit panfrost igt test-guest stress fuzz mesa gl-cost bench bench-compare mesa-export series-check export deps clean-cache

help:
	@echo 'make run           the main job: four scenes under memory pressure, without and with swap, and of a'
	@echo '                   GL program, in guests with the unpatched and the patched kernel; tables and plots'
	@echo 'make test          all tests: series-check, kunit, panfrost, test-guest, mesa, and guests with IOMMUs, a'
	@echo '                   balloon, and GL programs; stress, fuzzing and a bad host for a minute or so'
	@echo 'make test-debug    tests for a night: debug kernels, 1 to 4 CPUs, IOMMUs, faults, a bad host, fuzzing,'
	@echo '                   stress; ends with a table (SECONDS=1800 for each guest under stress)'
	@echo 'make kunit         unit tests of the kernel code, under User-Mode Linux'
	@echo 'make panfrost      the panfrost driver under User-Mode Linux, on a model of its GPU'
	@echo 'make test-guest    IGT tests in guests, on the 2D and the virgl device'
	@echo 'make igt           the same; IGT_SRC=DIR builds and runs them in an IGT checkout'
	@echo 'make stress        random use of BOs while memory is scarce, each byte compared, in guests (7 min)'
	@echo 'make fuzz          random calls to both drivers, 20 s each; longer: tools/vm/fuzz -n CALLS'
	@echo 'make mesa          builds Mesa with the patches to its VirGL winsys, and runs their unit tests'
	@echo 'make gl-cost       what the patches to Mesa cost: frames per second with and without, ioctls (7 min)'
	@echo 'make mesa-export   writes the patches to Mesa for git am (DIR=DIR, new or empty, else in the cache)'
	@echo 'make bench         what the series costs, against its targets: table, CSV and plot (4 min)'
	@echo 'make bench-compare the same, and fails when a row is worse than in CSV=FILE (default: the stored one)'
	@echo 'make series-check  the patches: apply, compile one by one, checkpatch, sparse, ...'
	@echo 'make export        writes the series for git am (DIR=DIR, new or empty, else in the cache)'
	@echo 'make deps          installs the Debian packages needed (as root), or names them'
	@echo 'make clean-cache   removes everything built'
	@echo
	@echo 'Variables: BASE=6.12 (a line of patches/bases), KERNEL_SRC=DIR (a base tree of your'
	@echo 'own), CACHE=DIR, JOBS=N, ACCEL=kvm (default: tcg)'

run: deps
	@tools/vm/scene -b $(BASE)

test: deps
	@tools/test-all

test-debug: deps
	@tools/test-debug $(SECONDS)

kunit: deps
	@tools/uml/kunit

panfrost: deps
	@tools/uml/panfrost

igt test-guest: deps
	@tools/igt/run

stress: deps
	@tools/vm/stress -b $(BASE)

fuzz: deps
	@tools/vm/fuzz -b $(BASE)

mesa: deps
	@tools/mesa/build -t

gl-cost: deps
	@tools/vm/gl-cost -b $(BASE)

bench: deps
	@tools/bench/run -b $(BASE)

bench-compare: deps
	@tools/bench/run -b $(BASE) -c $(CSV)

mesa-export: deps
	@tools/mesa/export $(DIR)

series-check: deps
	@tools/series check $(BASE)

export: deps
	@tools/series export $(BASE) $(DIR)

deps:
	@tools/deps

clean-cache:
	@cd "$(cache)" && rm -rf base bench check each export igt mesa run series src stress uml vm
