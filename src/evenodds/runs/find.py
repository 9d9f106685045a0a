"""Names become objects here. A member is known because it exists: no list is kept by hand."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module, resources
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from evenodds.errors import BadInput, excerpt, unknown
from evenodds.files.read import as_type, parse_json
from evenodds.runs.allowed import imported, is_external
from evenodds.runs.moved import current
from evenodds.runs.options import accepts, require_options

__all__ = ["KINDS", "accepts", "canonical", "describe", "find", "make", "names", "network", "network_at"]


def _public(*modules: str) -> dict[str, Any]:
    """The functions and classes that the modules define and export."""
    exported: dict[str, Any] = {}
    for name in modules:
        module = import_module(f"evenodds.{name}")
        for member in module.__all__:
            value = getattr(module, member)
            if callable(value) and getattr(value, "__module__", None) == module.__name__:
                exported[member] = value
    return exported


def _experimental(is_kind: Callable[[Any], bool]) -> dict[str, Any]:
    """The members of evenodds.experimental that are of a kind."""
    members = _public(*(f"experimental.{name}" for name in _families("experimental")))
    return {name: value for name, value in members.items() if is_kind(value)}


def _losses() -> dict[str, Any]:
    modules = (f"parts.losses.{name}" for name in ("adversarial", "boundary", "distances", "divergences"))
    return {name: value for name, value in _public(*modules).items() if name.islower()}


def _penalties() -> dict[str, Any]:
    return {name: value for name, value in _public("parts.losses.penalties").items() if name.islower()}


def _priors() -> dict[str, Any]:
    members = _public("parts.priors") | _experimental(lambda value: hasattr(value, "between"))
    return {name.lower(): value for name, value in members.items() if name != "Prior"}


def _tasks() -> dict[str, Any]:
    package = import_module("evenodds.tasks")
    modules = [f"tasks.{info.name}" for info in iter_modules(package.__path__) if not info.name.startswith("_")]
    members = _public(*modules) | _experimental(lambda value: hasattr(value, "networks"))
    return {name.lower(): value for name, value in members.items() if hasattr(value, "networks")}


def _views() -> dict[str, Any]:
    return {name: value for name, value in _public("parts.views").items() if name != "compose" and name.islower()}


def _schedules() -> dict[str, Any]:
    return {name: value for name, value in _public("game.schedule").items() if name in ("constant", "linear", "cosine")}


def _families(room: str) -> dict[str, Any]:
    """The modules of a package, by name."""
    package = import_module(f"evenodds.{room}")
    modules = [info.name for info in iter_modules(package.__path__) if not info.name.startswith("_")]
    return {name: import_module(f"evenodds.{room}.{name}") for name in sorted(modules)}


def _networks() -> dict[str, Any]:
    mappers = _families("parts.mappers").items()
    fitted = _families("parts.nonneural").items()
    kept = {name: m for name, m in mappers if hasattr(m, "Discriminator")}
    return _families("parts.networks") | kept | {name: m for name, m in fitted if hasattr(m, "Generator")}


def _fillers() -> dict[str, Any]:
    return _families("parts.fillers")


def _mappers() -> dict[str, Any]:
    return {name: module for name, module in _families("parts.mappers").items() if hasattr(module, "Generator")}


def _masks() -> dict[str, Any]:
    return {n.lower(): value for n, value in _public("parts.masks").items() if n not in ("Masks", "OneOf")}


def _degradations() -> dict[str, Any]:
    return {n.lower(): value for n, value in _public("parts.degradations").items() if n not in ("Degradation", "Chain")}


def _features() -> dict[str, Any]:
    extract = import_module("evenodds.metrics.features.extract")
    return {name: extract.extractor(name) for name in extract.names()}


def _sources() -> dict[str, Any]:
    return dict(import_module("evenodds.data.sources").SOURCES)


def _balances() -> dict[str, Any]:
    exported = _public("experimental.balance")
    levers = {"steps": "Steps", "rate": "Rate", "penalty": "PenaltyWeight"}
    return {name: exported[lever] for name, lever in levers.items()}


def _learners() -> dict[str, Any]:
    learners = _public("game.learners.gradient", "game.learners.evolution")
    learners |= _experimental(lambda value: hasattr(value, "improve"))
    return {name.lower(): value for name, value in learners.items() if hasattr(value, "improve")}


def _extras() -> dict[str, Any]:
    extra = import_module("evenodds.runs.extras").Extra
    members = _experimental(lambda value: inspect.isclass(value) and issubclass(value, extra))
    return {name.lower(): value for name, value in members.items()}


def _listeners() -> dict[str, Any]:
    rooms = ("game.listeners", "runs.listeners")
    members = _public(*(f"{room}.{name}" for room in rooms for name in _families(room)))
    return {name.lower(): value for name, value in members.items() if hasattr(value, "for_run")}


def _selections() -> dict[str, Any]:
    exported = _public("apply.selecting")
    return {name: exported[name] for name in ("budgeted", "rejection", "langevin")}


def _chances() -> dict[str, Any]:
    exported = _public("parts.views", "game.dial", "game.listeners.adapt")
    return {"always": exported["compose"], "fixed": exported["Chanced"], "adaptive": exported["Adapt"]}


def _optimizers() -> dict[str, Any]:
    from torch import optim

    bases = (optim.LBFGS, optim.SparseAdam, optim.Optimizer)
    members = inspect.getmembers(optim, lambda m: inspect.isclass(m) and issubclass(m, optim.Optimizer))
    return {name: value for name, value in members if value not in bases} | _experimental(
        lambda value: inspect.isclass(value) and issubclass(value, optim.Optimizer)
    )


def _recipes() -> dict[str, Any]:
    folder = resources.files("evenodds.runs.recipes")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    return {file.name.removesuffix(".yaml"): file for file in files}


KINDS: Mapping[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "balances": ("balance", _balances),
    "chances": ("chance of views", _chances),
    "degradations": ("degradation", _degradations),
    "extras": ("extra", _extras),
    "features": ("kind of features", _features),
    "fillers": ("filler", _fillers),
    "learners": ("learner", _learners),
    "listeners": ("listener", _listeners),
    "losses": ("loss", _losses),
    "mappers": ("mapper", _mappers),
    "masks": ("kind of mask", _masks),
    "networks": ("network", _networks),
    "optimizers": ("optimizer", _optimizers),
    "penalties": ("penalty", _penalties),
    "priors": ("prior", _priors),
    "recipes": ("recipe", _recipes),
    "schedules": ("schedule", _schedules),
    "selections": ("selection of samples", _selections),
    "sources": ("data source", _sources),
    "tasks": ("task", _tasks),
    "views": ("view", _views),
}
"""What can be named: plural -> (singular, how its members are found)."""


@cache
def _members(kind: str) -> dict[str, Any]:
    if kind not in KINDS:
        raise unknown("kind of part", kind, KINDS)
    return KINDS[kind][1]()


def names(kind: str) -> list[str]:
    """The known names of a kind, such as "losses"."""
    return sorted(_members(kind))


WRITTEN = "known.json"
"""Kind -> name -> first line of its documentation. `python tools/known.py` writes it; a contract compares it."""


@cache
def written() -> dict[str, dict[str, str]]:
    """What the file beside the code says that there is to name: a name is known before what it names is imported."""
    content = (resources.files("evenodds.runs") / WRITTEN).read_bytes()
    return as_type(parse_json(content, WRITTEN), dict[str, dict[str, str]], WRITTEN)


@cache
def _spellings(kind: str) -> dict[str, str]:
    """Each name of a kind by its lower case."""
    return {name.lower(): name for name in _members(kind)}


@cache
def _written_spellings(kind: str) -> dict[str, str]:
    """Those that are written down: a name that was added since is found among the members."""
    return {name.lower(): name for name in written().get(kind, ())}


def canonical(kind: str, name: str) -> str | None:
    """The name as its kind spells it; None where the kind has no such name.

    Case is ignored, and so is the difference between "-" and "_" where the kind has "_". "dcgan.Generator" names a role
    of a network family; a name with a colon is a user's own and is returned as it is; recipes and sources are no
    code, and there it is a path.
    """
    if ":" in name:
        return None if kind in ("recipes", "sources") else name
    if kind == "sources" and any(mark in name for mark in r"/\."):  # a path, for which nothing need be imported
        return None
    family, dot, role = name.partition(".") if kind == "networks" else (name, "", "")
    lower = family.lower()
    for spellings in (_written_spellings, _spellings):
        spelling = spellings(kind).get(lower, spellings(kind).get(lower.replace("-", "_")))
        if spelling is not None:
            break
    return None if spelling is None else f"{spelling}{dot}{role}"


def find(kind: str, name: str) -> Any:
    """The object of that name. Names are matched by `canonical`.

    "my_package.module:Thing" names a class or function of one's own; see `allowed` for when it is imported.
    """
    if ":" in name:
        return _with_colon(kind, name)
    member = _members(kind).get(canonical(kind, name) or "")  # an older torch lacks optimizers that are written down
    if member is None:
        raise _not_there(kind, name)
    return member


def _not_there(kind: str, name: str) -> BadInput:
    """The error for a name that nobody has; a file or a dotted name is told how code of one's own is named."""
    module, dot, member = name.removesuffix(".py").rpartition("/")[2].rpartition(".")
    if kind in ("recipes", "sources") or not (name.endswith(".py") or dot):
        return unknown(KINDS[kind][0], name, _members(kind))
    own = f"{member}:Name" if name.endswith(".py") else f"{module}:{member}"
    return BadInput(
        f"no {KINDS[kind][0]} '{excerpt(name)}'; one of your own is named by module and member, as in {own}"
    )


def network(name: str, role: str) -> Any:
    """The class of a network: "dcgan" and "dcgan.Generator" both name a family's class for the role "Generator"."""
    if ":" in name:
        return _with_colon("networks", name)
    if role in ("Filler", "Mapper"):
        return find(f"{role.lower()}s", name).Generator
    family, _, named_role = name.partition(".")
    module: ModuleType = find("networks", family)
    classes = {n: getattr(module, n) for n in _ROLES if hasattr(module, n)}
    if (named_role or role) not in classes:
        raise unknown(f"role in network family '{family}'", named_role or role, classes)
    return classes[named_role or role]


_ROLES = ("Generator", "Discriminator")
"""The classes of a family of networks."""


def network_at(name: str) -> Any:
    """The class of a network at `module:Class`, of evenodds or one's own."""
    return _with_colon("networks", name)


def _with_colon(kind: str, name: str) -> Any:
    """What `module:Member` names: a member of evenodds that is of the kind, or one's own."""
    if not is_external(name):
        return _member_at(name, *(_NETWORKS if kind in _NETWORKS else (kind,)))
    value, what = imported(KINDS[kind][0], name), _NEEDED.get(kind, "")
    if what and inspect.isclass(value) and not hasattr(value, what):
        raise BadInput(f"{KINDS[kind][0]} '{name}' needs `{what}`, which the class lacks; see the classes of evenodds")
    if kind == "optimizers" and inspect.isclass(value) and not all(hasattr(value, one) for one in _STEPPING):
        raise BadInput(f"optimizer '{name}' must be a class that inherits from torch.optim.Optimizer")
    return value


_STEPPING = ("step", "zero_grad", "state_dict", "load_state_dict")
"""What learners call of an optimizer: one that inherits from torch's has all of it."""
_NETWORKS = ("networks", "mappers", "fillers")
_NEEDED = {
    "networks": "forward",
    "learners": "improve",
    "optimizers": "step",
    "priors": "between",
    "tasks": "networks",
    "extras": "settle",
}
"""What a class of one's own must have to be of a kind."""


def _member_at(name: str, *kinds: str) -> Any:
    """The member of these kinds at `evenodds.module:Name`, as run folders and pickles name it; nothing is imported.

    Raises:
        BadInput: no member of these kinds is there.
    """
    today = current(name)
    for value in (value for kind in kinds for value in _members(kind).values()):
        classes = [getattr(value, role, None) for role in _ROLES] if inspect.ismodule(value) else [value]
        for one in classes:
            home, member = getattr(one, "__module__", ""), getattr(one, "__name__", "")
            if one is not None and today in (f"{home}:{member}", f"{home.rpartition('.')[0]}:{member}"):
                return one
    raise unknown(KINDS[kinds[0]][0], name, _members(kinds[0]))


def make(what: str, maker: Callable[..., Any], options: Mapping[str, Any], *fixed: Any) -> Any:
    """Calls `maker(*fixed, **options)`; an option that it does not take, or not so, is an error that names it."""
    require_options(what, maker, options, len(fixed))
    try:
        return maker(*fixed, **options)
    except (TypeError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{what} cannot be made: {error}") from error


def describe(kind: str) -> list[tuple[str, str]]:
    """Each name of a kind with the first line of its documentation."""
    return [(name, _first_line(value)) for name, value in sorted(_members(kind).items())]


def _first_line(value: Any) -> str:
    if hasattr(value, "read_text"):  # a recipe: its first comment
        text = value.read_text(encoding="utf-8")
        return text.splitlines()[0].lstrip("# ") if text.startswith("#") else ""
    lines = (inspect.getdoc(value) or "").strip().splitlines()
    return lines[0] if lines else ""
