"""The tree keeps its form: unit tests mirror it, packages stay small, each part imports only what it may."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache, partial
from graphlib import TopologicalSorter
from pathlib import Path

from tests import ROOT
from tests.rows import every_row
from tests.sources import nodes, statements

UNIT = ROOT / "tests" / "unit"
TOPS = ("lzr", "coordinator", "workers")
SOURCES = sorted(path for top in TOPS for path in (ROOT / top).rglob("*.py"))
PACKAGES = sorted({path.parent for path in SOURCES})
TESTS = sorted(path for path in UNIT.rglob("test_*.py") if path != Path(__file__).resolve())

MODULES = 17
"""In a package, beside its __init__."""

LARGER = {"lzr/protocols": 99}
"""A family of protocols a file."""

LINES = 400
"""Of a module."""

TABLES = {
    "lzr/fingerprint/applicationtable.py",
    "lzr/fingerprint/greetings/programs.py",
    "lzr/fingerprint/recog/data.py",
}
"""Data, a line each: as long as there is much of it."""

FUNCTION, PARAMETERS = 60, 8
"""Lines of a function, and what a constructor takes beside self."""

NOT_PURE = {
    *("asyncio", "fcntl", "glob", "io", "logging", "mmap", "multiprocessing", "os", "pathlib", "random"),
    *("select", "selectors", "shutil", "signal", "socket", "subprocess", "sys", "tempfile", "threading"),
    *("time", "urllib", "zmq"),
}
"""Modules with which one does I/O, reads a clock or the environment, or draws what no test can repeat."""

EXCEPT = {
    "lzr/kernels.py": {"os", "pathlib"},  # LZR_PURE, and what was built beside it, once at import
    "lzr/options/parse.py": {"sys", "open"},  # texts on stdout; the configuration file unless `read` is given
    "lzr/profiles.py": {"sys", "threading"},  # samples stacks of its own process, for coordinator and workers
    "lzr/protocols/__main__.py": {"print"},
}
"""A module of lzr/ -> what it uses all the same."""

ALIKE = {
    *("Adopt", "Adopted", "Fence", "Fenced", "Linked", "Ready", "Release", "Released", "SendTo"),
    *("Spawn", "Stop", "Stretch"),
}
"""Names of two classes each: what `lzr.ownership` or a sweep decides or is told, and that as a message."""

FORBIDDEN = {"lzr": ("coordinator", "workers"), "coordinator": ("workers",), "workers": ("coordinator",)}


@cache
def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, at the top or in a function."""
    for node in statements(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


MODULES_OF = {
    name(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in SOURCES
}


@cache
def imports() -> dict[str, set[str]]:
    """Module -> the modules of ours that it imports."""
    graph: dict[str, set[str]] = {}
    for module, path in MODULES_OF.items():
        found: set[str] = set()
        for node in statements(path):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= inner & MODULES_OF.keys()
                if not inner <= MODULES_OF.keys():
                    found.add(node.module)
        graph[module] = found & MODULES_OF.keys()
    return graph


def is_mirrored(path: Path) -> bool:
    package = ROOT / ("tests" if path.parent == UNIT else path.parent.relative_to(UNIT))
    words = path.stem.removeprefix("test_").split("_")
    stems = ["_".join(words[:count]) for count in range(len(words), 0, -1)]
    return any((package / f"{mark}{stem}.py").is_file() for stem in stems for mark in ("", "_"))


def test_a_unit_test_lies_where_its_module_lies() -> None:
    """test_<module>.py or test_<module>_<aspect>.py, in the mirrored package; at the top, of tests/*.py."""
    assert [name(path) for path in TESTS if not is_mirrored(path)] == [], "no module there has this name"


def test_the_documentation_names_each_package_and_no_file_that_is_not_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for package in PACKAGES:
        assert f"| `{name(package)}/` |" in text, name(package)
    for found in re.findall(r"`((?:lzr|coordinator|workers|tests|bin)/[\w/]+\.\w+)`", text):
        assert (ROOT / found).exists(), found


@cache
def defined(path: Path) -> frozenset[str]:
    """The names that a module gives: functions, classes and values, those in classes also as Class.name."""
    found: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return frozenset(found)


def test_the_documentation_names_functions_where_they_are() -> None:
    """`a file` (`its function`); in a walk also `a file`, `its function`, and Class.method of any file."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    file, word = r"`((?:lzr|coordinator|workers)/[\w/]+\.py)`", r"`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?)`"
    walk = text[text.index("## From a line") : text.index("## From an option")]
    named = [(path, found) for path, found in re.findall(rf"{file},\s{word}", walk)]
    for path, inner in re.findall(rf"{file}\s\(((?:[^()`]|`[^`]*`)*)\)", text):
        named += [(path, found) for found in re.findall(word, inner) if not found.endswith((".py", ".c"))]
    assert len(named) > 70
    assert [f"{path}: {found}" for path, found in named if found not in defined(ROOT / path)] == []
    methods = set(re.findall(r"`([A-Z]\w*\.[a-z_]\w*)`", walk))
    heads = re.compile(rf"^class ({'|'.join({method.partition('.')[0] for method in methods})})\b", re.M)
    homes = [path for path in SOURCES if heads.search(path.read_text())]
    assert methods <= frozenset[str]().union(*map(defined, homes))


def test_each_name_in_a_row_of_where_to_look_lies_where_the_one_before_it_does() -> None:
    """`directory/file.py` (`its function`), `another.py`: in the same directory, until one is named."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    section = text[text.index("## Where to look") : text.index("## A scan")]
    rows = [row for row in section.splitlines() if row.startswith("| ")]
    folder = r"(?:(?:lzr|coordinator|workers|tests|docs|bin|fingerprints)/(?:\w+/)*)"
    place = re.compile(rf"`({folder})?(\w+\.(?:py|c|h))`(?:\s\(([^()]*)\))?|`({folder})(?:lzr)?`")
    assert len(rows) > 140
    for row in rows:
        at = ""
        for given, file, words, alone in place.findall(row):
            at = given or alone or at
            if not file:
                continue
            path = ROOT / at / file if at and (ROOT / at / file).is_file() else ROOT / file
            assert path.is_file(), f"{row}: {at}{file}"
            named = re.findall(r"`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?)`", words) if file.endswith(".py") else []
            assert [word for word in named if word not in defined(path)] == [], row


def test_the_documentation_lists_every_module_by_its_own_sentence() -> None:
    spec = importlib.util.spec_from_file_location("modules", ROOT / "docs/modules.py")
    assert spec is not None
    assert spec.loader is not None
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert writer.page(text) == text, "run: python docs/modules.py"
    assert text.count(writer.BEGIN) == text.count(writer.END) == 1
    for path in SOURCES:
        if path.name != "__init__.py":
            assert f"| `{name(path)}` |" in text
            assert writer.sentence(path), f"{name(path)} does not say what it is"


def test_unit_tests_need_no_root() -> None:
    """Those that do are in tests/system; a mark left here would take them out of `make unit` unseen."""
    for path in TESTS:
        if not re.search(r"\broot\b|geteuid", path.read_text()):
            continue  # there is no need to parse it
        decorated = [
            ast.unparse(mark)
            for node in statements(path)
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
            for mark in node.decorator_list
        ]
        assert not [mark for mark in decorated if mark == "pytest.mark.root" or "geteuid" in mark], name(path)


@every_row(PACKAGES, name)
def test_a_package_is_small_enough_to_read_its_list(package: Path) -> None:
    modules = [path.name for path in package.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= LARGER.get(name(package), MODULES), modules


def test_a_module_and_a_function_are_short_enough_to_be_read_at_once() -> None:
    long = {name(path) for path in SOURCES if path.read_text().count("\n") > LINES} - TABLES
    for path in SOURCES:
        for node in statements(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                taken = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                if 1 + (node.end_lineno or 0) - node.lineno > FUNCTION:
                    long.add(f"{name(path)}: {node.name}")
                if node.name == "__init__" and len(taken) > 1 + PARAMETERS:
                    long.add(f"{name(path)}: {node.name} takes {len(taken) - 1}")
    assert long == set()


def test_a_name_is_imported_from_where_it_is_defined() -> None:
    """Not from a module that has it from elsewhere; what a package offers stands in its __init__."""
    brought = {
        module: {
            alias.asname or alias.name
            for node in statements(path)
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in TOPS
            for alias in node.names
        }
        for module, path in MODULES_OF.items()
        if path.name != "__init__.py"
    }
    detours = [
        f"{name(path)}: {alias.name} from {node.module}"
        for path in [*SOURCES, *filter(partial(may_import, brought), TESTS)]
        for node in statements(path)
        if isinstance(node, ast.ImportFrom) and node.module in brought
        for alias in node.names
        if alias.name in brought[node.module]
    ]
    assert detours == []


def may_import(brought: dict[str, set[str]], path: Path) -> bool:
    """Whether a file has what looks like an import of such a name: the others need not be parsed."""
    text = re.sub(r"#.*|\\\n", " ", path.read_text())
    lines = re.findall(r"\bfrom\s+([\w.]+)\s+import\s*(\([^)]*\)|.*)", text)
    return any(
        brought[module].intersection(re.findall(r"\w+", names))
        for module, names in lines
        if module in brought
    )


def test_a_class_has_a_name_of_its_own() -> None:
    """A word that means two things in two packages is read wrongly by whoever knows one of them."""
    places: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in statements(path):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name(path))
    assert {word for word, found in places.items() if len(found) > 1} == ALIKE


def test_parts_import_only_what_they_may() -> None:
    wrong = {}
    for path in SOURCES:
        tops = {module.partition(".")[0] for module in imported(path)}
        if bad := tops & {*FORBIDDEN[name(path).partition("/")[0]], "tests"}:
            wrong[name(path)] = bad
    assert wrong == {}


def impure(path: Path) -> set[str]:
    """What a module uses that does I/O, reads a clock or the environment."""
    used = {module.partition(".")[0] for module in imported(path)} & NOT_PURE
    for node in nodes(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            used |= {node.func.id} & {"open", "print", "input"}
    return used


def test_lzr_is_pure() -> None:
    found = {name(path): impure(path) for path in SOURCES if name(path).startswith("lzr/")}
    assert len(found) > 100
    assert {module: used for module, used in found.items() if used} == EXCEPT


def test_which_kernels_run_is_chosen_in_one_place() -> None:
    asking = [
        name(path) for path in SOURCES if re.search(r"NATIVE (is|==|!=)|getattr\(NATIVE", path.read_text())
    ]
    assert asking == ["lzr/kernels.py"]


def test_the_figures_of_a_scan_are_written_where_they_are_said_to_be() -> None:
    """By who counts, by who brings together what others know, and by who warns: nobody else."""
    writers = {name(path) for path in SOURCES if any(is_figure(target) for target in assigned(path))}
    console = {"coordinator/console/console.py", "coordinator/console/alerts.py"}
    assert writers == {"coordinator/scan/accounts.py", "coordinator/scan/upkeep.py"} | console


def assigned(path: Path) -> Iterator[ast.expr]:
    """What a module assigns to, adds to, or puts items into."""
    for node in statements(path):
        match node:
            case ast.Assign(targets=targets):
                for target in targets:
                    yield from target.elts if isinstance(target, ast.Tuple) else [target]
            case ast.AugAssign(target=target):
                yield target


def is_figure(target: ast.expr) -> bool:
    """Whether this is `totals.one`, `self._totals.one`, `self._parts.totals.one` or an item of it."""
    while isinstance(target, ast.Subscript):
        target = target.value
    return isinstance(target, ast.Attribute) and ast.unparse(target.value).endswith("totals")


def test_no_module_imports_itself_by_a_detour() -> None:
    """Not even in a function: what imports what is a graph without a circle."""
    list(TopologicalSorter(imports()).static_order())  # or a CycleError that names them


def test_no_package_imports_itself_by_a_detour() -> None:
    """A package is a directory; what lies right in lzr/ is one too, below all the packages in it. That does
    not hold for what lzr/__init__.py offers to others, which it imports when it is asked (`lzr.identify`)."""
    graph: dict[str, set[str]] = {}
    for module, found in imports().items():
        if module == "lzr":
            continue
        package = name(MODULES_OF[module].parent)
        graph.setdefault(package, set()).update(name(MODULES_OF[one].parent) for one in found)
    for package, found in graph.items():
        found.discard(package)
    list(TopologicalSorter(graph).static_order())
