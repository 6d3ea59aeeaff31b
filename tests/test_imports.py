"""Imports go one way, nobody imports a binary, and flags stay at the top."""

import ast
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[1]
ALLOWED = {
    "models": {"models"},
    "datasets": {"datasets"},
    "evaluation": {"evaluation", "datasets", "models"},
    "training": {"training", "evaluation", "datasets", "models"},
    "tools": {"tools", "training", "evaluation", "datasets", "models"},
}


def _modules():
    for package in ALLOWED:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield package, path, ast.parse(path.read_text())


def _imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_binary(tree):
    return any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)


def test_packages_import_only_what_they_may():
    for package, path, tree in _modules():
        ours = {name.split(".")[0] for name in _imported(tree)} & set(ALLOWED)
        assert ours <= ALLOWED[package], f"{path} imports {ours - ALLOWED[package]}"


def test_nobody_imports_a_binary():
    binaries = {".".join(path.relative_to(ROOT).with_suffix("").parts) for _, path, tree in _modules()
                if _is_binary(tree)}
    assert "tools.run_experiment" in binaries
    tests = ((path, ast.parse(path.read_text())) for path in sorted((ROOT / "tests").rglob("*.py")))
    for path, tree in (*((path, tree) for _, path, tree in _modules()), *tests):  # its flags would meet another's
        assert not binaries & set(_imported(tree)), path


def test_flags_are_known_to_binaries_alone():
    for _, path, tree in _modules():
        if "absl.flags" in set(_imported(tree)):
            assert _is_binary(tree) or path.name == "flags.py", path


def test_models_touch_no_files():
    for package, path, tree in _modules():
        if package == "models":
            assert not {"pathlib", "os", "io", "h5py", "cv2"} & set(_imported(tree)), path
