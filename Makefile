# The tasks of this book; `make` alone lists them. Works with GNU make 3.81, the one of macOS.
# Paths are relative throughout, so that the project may lie below a folder with spaces in its name.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help venv book epub test lint links lab execute bench experiments policies requirements clean distclean

help:
	@echo "使い方 / usage: make TARGET"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1:\2/p' Makefile | awk -F: '{ printf "  %-14s%s\n", $$1, $$2 }'

# Always asked, returns at once when nothing has changed.
venv:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	  echo "$(PYTHON) が見つかりません。Python 3.11 以上を入れるか make PYTHON=... で指定してください / cannot find $(PYTHON): install Python >= 3.11 or name it with make PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" tools/bootstrap.py

# -W: a warning fails the build; --keep-going: at its end, so that all of them are seen; -n: links without
# a target are warnings too; -q and /dev/null: nothing is shown but warnings.
# Sphinx warns only about the pages that it reads again, and copies the style sheet only when a page has
# changed. So what it has cached counts only when a build that passed came after it, and after every
# change of the styles, translations and extensions; otherwise all pages are read afresh.
book: venv ## 本を組み立てる (_build/html。ノートブックは実行しない)
	@test _build/.passed -nt _build/.doctrees/environment.pickle && \
	  test -z "$$(find THIRD_PARTY_LICENSES.txt book/*.html book/static book/locale book/templates book/_ext/*.py -type f ! -name '*.mo' -newer _build/.passed)" || \
	  rm -rf _build/.doctrees
	@$(BIN)/jupyter-book build . -W -n --keep-going -q >/dev/null || { rm -rf _build/.doctrees; \
	  echo "本を組み立てられません。上の警告を直してください / the book was not built: see the warnings above" >&2; exit 1; }
	@touch _build/.passed
	@echo "できました / open this in a browser: _build/html/index.html"

epub: venv ## 本を EPUB にする (_build/epub。ノートブックは実行しない)
	@$(BIN)/python tools/epub.py || { \
	  echo "EPUB を作れません。上の警告を直してください / the EPUB was not built: see the warnings above" >&2; exit 1; }
	@echo "できました / open this with an e-book reader: _build/epub/dezero-dqn.epub"

PYTEST = $(BIN)/python -m pytest --nbval --nbval-current-env

# Two workers share the chapters and the files of tests, one as a whole to one worker: the cells of a
# chapter need one kernel, and what a file has built or opened serves all its tests. What measures time
# or memory comes afterwards, alone. It runs after a failure too; either failure is one of make.
test: book ## 本を組み立ててからテストする
	@$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not alone"; shared=$$?; \
	  $(PYTEST) -m "alone and not slow" && exit $$shared

# Needs Node 20, which the book itself does not. The tests do the same once textlint is installed.
lint: venv node_modules/.package-lock.json ## コードを ruff で、文章を textlint で調べる (Node.js 20 以上が要る)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@npm run --silent lint

node_modules/.package-lock.json: package.json package-lock.json
	@command -v npm >/dev/null 2>&1 || { \
	  echo "npm が見つかりません。Node.js 20 以上を入れてください / cannot find npm: install Node.js >= 20" >&2; exit 1; }
	@npm ci --no-audit --no-fund
	@touch $@

links: venv ## 外へのリンクを調べる (インターネットが要る)
	@$(BIN)/jupyter-book build . --builder linkcheck

lab: venv ## JupyterLab で章を開く (.md をダブルクリックするとノートブックになる)
	@$(BIN)/jupyter-lab --LabApp.default_url=/lab/tree/chapters

execute: venv ## 章を実行して .ipynb を書き直す (CHAPTER=04_dqn で一つだけ)
	@$(BIN)/python tools/execute.py $(CHAPTER)

bench: venv ## 学習の速さを、倒立振子と月面着陸で比べる (ARGS="--steps 4000 --rounds 5")
	@$(BIN)/python benchmarks/run.py $(ARGS)
	@$(BIN)/python benchmarks/run.py --env LunarLander-v3 --out _build/bench_lander.json $(ARGS)

# All recorded runs of our own; those that are in chapters/data/runs already are not repeated. PLAN names one
# plan of chapters/plans, ARM one of its arms. benchmarks/peers.py makes those of other programs.
PLANS = $(filter-out %/05_peers.toml %/seeds.toml,$(wildcard chapters/plans/*.toml))

experiments: venv ## 実験の記録を作る (PLAN=05_diagnosis や ARM=double で一部だけ。できているものは飛ばす)
	@$(BIN)/python -m rlbook_helpers.experiments plan $(or $(PLAN:%=chapters/plans/%.toml),$(PLANS)) \
	  $(addprefix --arm ,$(ARM)) --jobs 2 --out chapters/data/runs

policies: venv ## 章と、動く図で使う方策を学習しなおす
	@$(BIN)/python -m rlbook_helpers.experiments policy lander --seed 50 --at 50000 200000 \
	  --out chapters/data/policies
	@$(BIN)/python -m rlbook_helpers.experiments policy stable --seed 50 --at 25000 \
	  --out book/figures/policies
	@$(BIN)/python -m rlbook_helpers.experiments policy original --seed 50 --at 25000 \
	  --set episodes=None --set steps=25000 --set sync_interval=None --set sync_steps=100 \
	  --out book/figures/policies
	@$(BIN)/python tools/figures

# Needs uv, which the book itself does not: pip install uv
requirements: ## requirements.txt のバージョンを選び直す
	@"$(PYTHON)" -m uv pip compile --universal --python-version 3.11 --fork-strategy fewest \
	  requirements.in -o requirements.txt --no-header --no-annotate -q

clean: ## 作られたファイルを消す (.venv は残す)
	@rm -rf _build .pytest_cache .ruff_cache build dist *.egg-info chapters/*.tmp
	@find . -name .venv -prune -o -name .git -prune -o \
	  \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

distclean: clean ## .venv と node_modules も消す
	@rm -rf .venv node_modules
