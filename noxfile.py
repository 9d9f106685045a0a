"""The tests under other versions of Python and torch: `nox --list`, `nox -s tests-3.12`, `nox -s lowest`.

Sessions of a Python that is not there are passed over, and say so. Each makes its own environment below .nox/. Where
no CPU build of torch is visible, PyPI brings one with CUDA, of several GB: set PIP_EXTRA_INDEX_URL to the index of CPU
builds that pytorch.org names.
"""

import nox

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LOWEST_TORCH = "torch==2.6.*"
"""What pyproject.toml asks for at least, with the oldest Python; no other Python of today has it for all platforms."""
SUITE = ("pytest", "-n", "2", "--dist", "worksteal")
nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", *(f"tests-{python}" for python in PYTHONS)]


@nox.session
def lint(session: nox.Session) -> None:
    """Lint, types, import contracts, dependencies."""
    session.install("-c", "constraints.txt", "-e", ".[test]")
    for command in ("ruff check .", "ruff format --check .", "mypy", "lint-imports", "deptry src"):
        session.run(*command.split())


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The test suite with the newest torch that constraints.txt allows."""
    session.install("-c", "constraints.txt", ".[test]")
    session.run(*SUITE, *session.posargs)


@nox.session(python=PYTHONS)
def newest(session: nox.Session) -> None:
    """The test suite with the newest torch that there is."""
    session.install("--upgrade", "--upgrade-strategy", "eager", ".[test]")
    session.run(*SUITE, *session.posargs)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """The test suite with the lowest torch that pyproject.toml allows."""
    session.install(".[test]", LOWEST_TORCH)
    session.run(*SUITE, *session.posargs)
