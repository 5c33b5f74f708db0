"""Strict reading of the desk's data files: every key known, every value checked, every refusal with file and key.

The schema is a frozen type whose fields say in their metadata what they accept: `low`, `high`, `options` or a `kind`.
"""

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import date, datetime
from typing import Any, TypeVar

R = TypeVar("R")


class FileError(ValueError):
    """A data file cannot be read. The process refuses to start and shows the file, the key and the remedy."""

    def __init__(self, source: str, key: str, problem: str) -> None:
        super().__init__(f"{source}: {key}: {problem}" if key else f"{source}: {problem}")
        self.source = source
        self.key = key


def read_toml(text: str, source: str, error: type[FileError]) -> dict[str, Any]:
    """The TOML as a mapping; raises `error` when it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise error(source, "", f"is not TOML: {problem}; correct it or restore the file") from problem


@dataclass(frozen=True)
class Page:
    """The file being read, so that every refusal can name it; `kinds` are readers of values only this file has."""

    source: str
    error: type[FileError] = FileError
    kinds: "Mapping[str, Kind]" = field(default_factory=dict)

    def refuse(self, key: str, problem: str) -> None:
        raise self.error(self.source, key, problem)

    def mapping(self, raw: Any, key: str) -> Mapping[str, Any]:
        if not isinstance(raw, Mapping):
            raise self.error(self.source, key, f"must be a table, not {type(raw).__name__}")
        return raw

    def keys(
        self, raw: Mapping[str, Any], path: str, required: set[str], optional: frozenset[str] = frozenset()
    ) -> None:
        for name in raw:
            if name not in required | optional:
                self.refuse(join(path, name), f"unknown key; known are {', '.join(sorted(required | optional))}")
        for name in sorted(required):
            if name not in raw:
                self.refuse(join(path, name), "missing key; add it or restore the file")

    def version(self, raw: Mapping[str, Any], known: int) -> None:
        if raw["version"] != known:
            self.refuse("version", f"is {raw['version']!r}; this desk reads version {known}")

    def table(self, cls: type[R], raw: Any, path: str, given: Mapping[str, Any] | None = None) -> R:
        """One frozen type from one table, every key checked by the type's own metadata; `given` are read already."""
        body = self.mapping(raw, path)
        specs = {spec.name: spec for spec in fields(cls) if spec.name not in (given or {})}  # type: ignore[arg-type]
        required = {name for name, spec in specs.items() if spec.default is MISSING}
        self.keys(body, path, required, frozenset(specs))
        values = {name: self.value(specs[name], value, join(path, name)) for name, value in body.items()}
        return cls(**values, **(given or {}))

    def value(self, spec: "Field[Any]", raw: Any, key: str) -> Any:
        kind = spec.metadata.get("kind")
        if kind is not None:
            return (self.kinds.get(kind) or KINDS[kind])(self, spec, raw, key)
        options = spec.metadata.get("options")
        if options is not None:
            if raw not in options:
                self.refuse(key, f"{raw!r} is not one of {', '.join(options)}")
            return raw
        return self.number(spec, raw, key)

    def number(self, spec: "Field[Any]", raw: Any, key: str) -> float:
        whole = spec.type in (int, int | None)
        if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
            raise self.error(self.source, key, f"{raw!r} is not a number")
        if whole and raw != int(raw):
            self.refuse(key, f"{raw!r} is not a whole number")
        low, high = spec.metadata.get("low"), spec.metadata.get("high")
        if low is not None and raw < low:
            self.refuse(key, f"{raw!r} has the wrong sign or size: it must be at least {low:g}")
        if high is not None and raw > high:
            self.refuse(key, f"{raw!r} has the wrong sign or size: it must be at most {high:g}")
        return int(raw) if whole else float(raw)

    def sequence(self, raw: Any, key: str) -> list[Any]:
        if not isinstance(raw, list | tuple) or not raw:
            raise self.error(self.source, key, "must be a list that is not empty")
        return list(raw)


Kind = Callable[[Page, "Field[Any]", Any, str], Any]


def join(path: str, name: str) -> str:
    """The key of `name` within the table `path`."""
    return f"{path}.{name}" if path else name


def _names(page: Page, _spec: "Field[Any]", raw: Any, key: str) -> tuple[str, ...]:
    if not all(isinstance(name, str) and name for name in page.sequence(raw, key)):
        page.refuse(key, "must be a list of names")
    return tuple(raw)


def _numbers(page: Page, spec: "Field[Any]", raw: Any, key: str) -> tuple[float, ...]:
    numbers = tuple(page.number(spec, value, key) for value in page.sequence(raw, key))
    if list(numbers) != sorted(set(numbers)):
        page.refuse(key, "must be ascending, each number once")
    return numbers


def _flag(page: Page, _spec: "Field[Any]", raw: Any, key: str) -> bool:
    if not isinstance(raw, bool):
        page.refuse(key, f"{raw!r} is neither true nor false")
    return bool(raw)


def _text(page: Page, _spec: "Field[Any]", raw: Any, key: str) -> str:
    if not isinstance(raw, str) or not raw.strip():
        page.refuse(key, f"{raw!r} is not a text")
    return str(raw)


def _table(page: Page, spec: "Field[Any]", raw: Any, key: str) -> Any:
    """A frozen type within another: the field's own type is its schema."""
    assert isinstance(spec.type, type)
    return page.table(spec.type, raw, key)


def _date(page: Page, _spec: "Field[Any]", raw: Any, key: str) -> date:
    if isinstance(raw, datetime) or not isinstance(raw, date):
        raise page.error(page.source, key, f"{raw!r} is not a date; write it as 2020-03-16, without quotes")
    return raw


KINDS: dict[str, Kind] = {
    "flag": _flag, "names": _names, "numbers": _numbers, "text": _text, "date": _date, "table": _table,
}  # fmt: skip
