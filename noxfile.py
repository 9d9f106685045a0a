"""The tests under other versions of Python and torch: `nox --list`, `nox -s tests-3.12`, `nox -s lowest`.

Sessions of a Python that is not there are passed over, and say so. Each makes its own environment below .nox/. Where
no CPU build of torch is visible, PyPI brings one with CUDA, of several GB: set PIP_EXTRA_INDEX_URL to the index of CPU
builds that pytorch.org names.
"""

import nox

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LOWEST = (
    "torch==2.6.*", "numpy==1.26.*", "pillow==11.3.*", "safetensors==0.4.5", "pyyaml==6.0", "rich==13.6.*",
    "cyclopts==5.4.*", "msgspec==0.19.*", "pyarrow==15.*",
)  # fmt: skip
"""What pyproject.toml asks for at least, with the oldest Python; no other Python of today has it for all platforms.

The extra avif needs pillow 11.3, where the rest takes 11.0. Later versions of pyarrow need numpy 2 and do not say so.
"""
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
    """The test suite with the lowest versions of what is always needed that pyproject.toml allows."""
    session.install(".[test]", *LOWEST)
    session.run(*SUITE, *session.posargs)
