# Ten verbs. Everything lands in .venv and build; nothing outside the folder but Debian packages.
PYTHON ?= python3.11
PY := .venv/bin/python
STAMP := .venv/.installed

.PHONY: install demo up down test check bench fuzz docs clean

$(STAMP): requirements.lock infra/bootstrap.lock pyproject.toml
	PYTHON="$(PYTHON)" bash infra/setup --for demo
	bash infra/install "$(PYTHON)"
	touch $(STAMP)

install: $(STAMP)  ## Debian packages where that is allowed, and the Python environment

demo: install  ## the main job, for real, from nothing; leaves the pages running
	.venv/bin/dsr demo run

up: install  ## start what the demo left, without resetting it
	.venv/bin/dsr demo up

down:  ## stop all of it
	@test ! -x .venv/bin/dsr || .venv/bin/dsr demo down

test: $(STAMP)  ## every test, with real servers
	bash infra/setup --for test
	$(PY) -m pytest -n 2 --dist loadfile --randomly-seed=1

check: $(STAMP)  ## formatting, lint, types, imports
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: $(STAMP)  ## measure; writes build/bench.json
	bash infra/setup --for bench
	bash infra/install-peers "$(PYTHON)"
	.venv/bin/dsr bench

fuzz: $(STAMP)  ## property tests at length
	HYPOTHESIS_PROFILE=fuzz $(PY) -m pytest --timeout 3600 tests/properties tests/faults/test_kill_steps.py tests/faults/test_kill_answers.py tests/faults/test_kill_custody.py tests/faults/test_kill_mail_keys.py tests/faults/test_kill_days.py tests/faults/test_mail_kills.py tests/faults/test_mail_faults.py tests/faults/test_ciphertext_attacks.py tests/faults/test_publisher_strace.py tests/faults/test_log_attacks.py tests/faults/test_log_hostile_server.py tests/faults/test_witness_faults.py tests/integration/test_strangers_as_gpg.py tests/integration/test_holder_conformance.py tests/integration/test_reconcile.py

docs: $(STAMP)  ## screenshots of the running demo into docs/images
	$(PY) infra/screenshots.py

clean: down  ## remove what was built
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
