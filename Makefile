# Tasks of this book; `make` lists them. Must work with GNU make 3.81 (macOS).
# Use relative paths only: the path of the project may contain spaces.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help venv book epub pdf test test-all lint links lab execute bench experiments figures policies requirements clean distclean

help:
	@echo "使い方 / usage: make TARGET"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1:\2/p' Makefile | awk -F: '{ printf "  %-14s%s\n", $$1, $$2 }'

# Returns at once if nothing has changed.
venv:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	  echo "$(PYTHON) が見つかりません。Python 3.11 以上を入れるか make PYTHON=... で指定してください / cannot find $(PYTHON): install Python >= 3.11 or name it with make PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" tools/bootstrap.py

book: venv ## 本を組み立てる (_build/html。ノートブックは実行しない)
	@$(BIN)/python tools/book.py || { \
	  echo "本を組み立てられません。上の警告を直してください / the book was not built: see the warnings above" >&2; exit 1; }
	@echo "できました / open this in a browser: _build/html/index.html"

epub: venv ## 本を EPUB にする (_build/epub。ノートブックは実行しない)
	@$(BIN)/python tools/epub.py || { \
	  echo "EPUB を作れません。上の警告を直してください / the EPUB was not built: see the warnings above" >&2; exit 1; }
	@echo "できました / open this with an e-book reader: _build/epub/dezero-dqn.epub"

pdf: book ## 本を一つの PDF にする (_build/pdf。Chromium か Chrome が要る)
	@$(BIN)/python tools/pdf.py || { \
	  echo "PDF を作れません。Chromium か Chrome を入れてください / the PDF was not made: install Chromium or Chrome" >&2; exit 1; }
	@echo "できました / open this: _build/pdf/dezero-dqn.pdf"

PYTEST = $(BIN)/python -m pytest --nbval --nbval-current-env

# Two workers, a whole file to one of them: chapters need one kernel, tests share their fixtures. Then,
# alone, whatever measures time or memory, even after a failure. Fail if either run failed.
MARK = not slow
ALONE = chapters/10_speed.ipynb tests/records/test_speed.py tests/pages/test_site.py
test: book ## 本を組み立ててからテストする
	@$(PYTEST) --durations=25 --durations-min=2 -n 2 --dist loadfile --no-loadscope-reorder -m "($(MARK)) and not alone"; shared=$$?; \
	  $(PYTEST) -m "($(MARK)) and alone" $(ALONE) && exit $$shared

test-all: ## 時間のかかるテストもすべて行う
	@$(MAKE) test MARK="slow or not slow"

# A quiz becomes a Markdown list for textlint, on the same lines as its texts in the TOML.
lint: venv node_modules/.package-lock.json ## コード、ワークフロー、文章を調べる (Node.js 20 以上が要る)
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m ruff format --check
	@$(BIN)/python -m mypy
	@$(BIN)/zizmor --offline --quiet .github
	@rm -rf _build/quizzes && mkdir -p _build/quizzes && for quiz in book/quizzes/*.toml; do \
	  sed -E -e "s/^(text|why) = '(.*)'$$/- \2/" -e t -e 's/.*//' "$$quiz" \
	    >"_build/quizzes/$$(basename "$$quiz" .toml).md" || exit; done
	@npm run --silent lint

node_modules/.package-lock.json: package.json package-lock.json
	@command -v npm >/dev/null 2>&1 || { \
	  echo "npm が見つかりません。Node.js 20 以上を入れてください / cannot find npm: install Node.js >= 20" >&2; exit 1; }
	@npm ci --no-audit --no-fund
	@touch $@

links: venv ## 外へのリンクを調べる (インターネットが要る)
	@$(BIN)/python -c "from jupyter_book.cli.main import main; main()" build . --builder linkcheck

lab: venv ## JupyterLab で章を開く (.md をダブルクリックするとノートブックになる)
	@$(BIN)/python -m jupyterlab --LabApp.default_url=/lab/tree/chapters

execute: venv ## 章を実行して .ipynb を書き直す (CHAPTER=04_dqn で一つだけ)
	@$(BIN)/python tools/execute.py $(CHAPTER) $(if $(DISCARD),--discard)

bench: venv ## 学習の速さを、倒立振子と月面着陸で比べる (ARGS="--steps 4000 --rounds 5")
	@$(BIN)/python benchmarks/run.py $(ARGS)
	@$(BIN)/python benchmarks/run.py --env LunarLander-v3 --out _build/bench_lander.json $(ARGS)

# Repeat no run that is in chapters/data/runs. PLAN selects a plan of chapters/plans, ARM an arm of it.
# benchmarks/peers.py records the runs of other programs (05_peers, 05_further, 05_search).
PLANS = $(filter-out %/05_peers.toml %/05_further.toml %/05_search.toml %/seeds.toml,$(wildcard chapters/plans/*.toml))

experiments: venv ## 実験の記録を作る (PLAN=05_diagnosis や ARM=double で一部だけ。できているものは飛ばす)
	@$(BIN)/python -m rlbook_helpers.experiments plan $(or $(PLAN:%=chapters/plans/%.toml),$(PLANS)) \
	  $(addprefix --arm ,$(ARM)) --jobs 2 --out chapters/data/runs

figures: venv ## 動く図のデータと、その代わりの絵を書きなおす
	@$(BIN)/python tools/figures

policies: venv ## 章と、動く図で使う方策を学習しなおす
	@$(BIN)/python -m rlbook_helpers.experiments policy lander --seed 37200 --at 50000 200000 \
	  --out chapters/data/policies
	@$(BIN)/python -m rlbook_helpers.experiments policy stable --seed 37000 --at 25000 \
	  --out book/figures/policies
	@$(BIN)/python -m rlbook_helpers.experiments policy original --seed 400 --at 25000 \
	  --set episodes=None --set steps=25000 --set sync_interval=None --set sync_steps=100 \
	  --set separate_streams=False \
	  --out book/figures/policies
	@$(BIN)/python tools/figures/breakout.py
	@$(MAKE) figures

# Needs uv: pip install uv
requirements: ## requirements.txt のバージョンを選び直す
	@"$(PYTHON)" -m uv pip compile --universal --python-version 3.11 --fork-strategy fewest \
	  requirements.in -o requirements.txt --no-header --no-annotate -q

clean: ## 作られたファイルを消す (.venv は残す)
	@rm -rf _build .pytest_cache .ruff_cache build dist *.egg-info chapters/*.tmp
	@find . -name .venv -prune -o -name .git -prune -o \
	  \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

distclean: clean ## .venv と node_modules も消す
	@rm -rf .venv node_modules
