"""What a read-only user may run.

The engine's own parser turns the statement into a tree, and everything in the tree must be on a list here: kinds of
nodes, functions, table functions, system tables. Whatever is not listed is refused, so a new engine with a new way out
is refused too. Behind this stands the engine's role for readers, which has no right to files, URLs or other servers.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.embedded.engine_config import DATABASE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

STATEMENTS: Final = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "FROM", "VALUES"})

ONLY_READING: Final = (
    "readers have SELECT, EXPLAIN, DESCRIBE, EXISTS and SHOW of tables, columns, databases, settings and CREATE TABLE"
)

_NODES: Final = frozenset(
    {
        "Asterisk", "CollationNode", "ColumnsApplyTransformer", "ColumnsExceptTransformer", "ColumnsListMatcher",
        "ColumnsRegexpMatcher", "ColumnsReplaceTransformer", "ColumnsReplaceTransformer::Replacement",
        "ColumnsTransformerList", "DataType", "ExplainQuery", "ExpressionList", "Function", "Identifier",
        "InterpolateElement", "Literal", "NameTypePair", "OrderByElement", "QualifiedAsterisk",
        "QualifiedColumnsListMatcher", "QualifiedColumnsRegexpMatcher", "QueryParameter", "SampleRatio",
        "SelectIntersectExceptQuery", "SelectQuery", "SelectWithUnionQuery", "ShowColumnsQuery", "ShowTablesQuery",
        "StorageOrderByElement", "Subquery", "TTLElement", "TableExpression", "TableIdentifier", "TableJoin",
        "TablesInSelectQuery", "TablesInSelectQueryElement", "ArrayJoin", "WindowDefinition", "WindowListElement",
        "WithElement",
    }
)  # fmt: skip
_TABLE_FUNCTIONS: Final = frozenset({"generateseries", "generate_series", "null", "numbers", "values", "view", "zeros"})
_SYSTEM_TABLES: Final = frozenset(
    {
        "aggregate_function_combinators", "collations", "columns", "current_roles", "data_type_families", "databases",
        "formats", "functions", "keywords", "numbers", "one", "settings", "table_functions", "tables", "time_zones",
        "zeros",
    }
)  # fmt: skip
_SYSTEM_DATABASES: Final = frozenset({"system", "information_schema"})

# Families of functions that compute and reach nothing.
_FUNCTION_CATEGORIES: Final = frozenset(
    {
        "Arithmetic", "Arrays", "Bit", "Bitmap", "Comparison", "Conditional", "Dates and Times", "Distance",
        "Encoding", "Geo", "Geo Polygon", "Hash", "Hashing", "IP Address", "JSON", "Logical", "Map", "Mathematical",
        "Nested", "Null", "Random Number", "Rounding", "String", "String Replacement", "String Search",
        "String Splitting", "Strings", "Time Window", "Tuple", "Type Conversion", "ULID", "URL", "UUID",
    }
)  # fmt: skip
_FURTHER_FUNCTIONS: Final = frozenset(
    {
        "bar", "byteSize", "countDigits", "currentDatabase", "currentUser", "defaultValueOfArgumentType",
        "defaultValueOfTypeName", "errorCodeToName", "finalizeAggregation", "formatReadableDecimalSize",
        "formatReadableQuantity", "formatReadableSize", "formatReadableTimeDelta", "formatRow", "getSetting",
        "getSubcolumn", "identity", "ignore", "indexHint", "initializeAggregation", "isConstant", "isDecimalOverflow",
        "lowCardinalityIndices", "lowCardinalityKeys", "materialize", "parseReadableSize",
        "parseReadableSizeOrNull", "parseReadableSizeOrZero", "parseTimeDelta", "rowNumberInAllBlocks",
        "rowNumberInBlock", "runningDifference", "serverTimezone", "throwIf", "timezone", "toColumnTypeName",
        "toTypeName", "transform", "variantElement", "variantType", "version", "visibleWidth",
    }
)  # fmt: skip
# Functions in the tree that stand for syntax.
_SYNTAX: Final = frozenset({"casewithexpression", "exists", "grouping", "lambda", "untuple"})
_NO_AGGREGATES: Final = frozenset({"aggThrow", "flameGraph"})
_COMBINATORS: Final = (
    "If", "Array", "Map", "Distinct", "OrDefault", "OrNull", "State", "Merge", "SimpleState", "MergeState", "ForEach",
    "ArgMin", "ArgMax", "Null", "Resample",
)  # fmt: skip

# Statements that the engine parses but cannot turn into a tree; it prints them in one form, which these match whole.
_NAME: Final = r"(?:`[^`\\]+`|\w+)(?:\.(?:`[^`\\]+`|\w+))?"
_FORMAT: Final = r"\nFORMAT `?\w+`?"
_ABOUT_A_TABLE: Final = re.compile(
    rf"(?:DESCRIBE TABLE|(?:EXISTS|SHOW CREATE) (?:TABLE|VIEW)) (?P<table>{_NAME})(?:{_FORMAT})?"
)
_DESCRIBE_QUERY: Final = re.compile(rf"DESCRIBE TABLE\s*\((?P<query>.*)\)(?:{_FORMAT})?", re.DOTALL)

ALLOWED_SETTINGS: Final = re.compile(
    r"max_(execution_time|memory_usage|result_rows|result_bytes|rows_to_read|bytes_to_read|threads|block_size)"
    r"|result_overflow_mode|read_overflow_mode|timeout_overflow_mode|extremes|final|join_use_nulls|session_timezone"
    r"|date_time_input_format|date_time_output_format|cast_string_to_dynamic_use_inference|use_uncompressed_cache"
    r"|output_format_(?!schema)\w+|format_csv_\w+|format_binary_max_\w+|input_format_null_as_default"
    r"|log_queries|async_insert|prefer_column_name_to_alias|asterisk_include_\w+_columns"
)


class StatementRefused(Exception):
    """A reader may not run this; the text says which part of it."""


@dataclass(frozen=True, slots=True)
class EngineFunction:
    """One row of the engine's list of functions.

    Attributes:
        name: as written in SQL.
        alias_to: the function it is another name for; '' for none.
        categories: what the engine's documentation files it under, with commas between.
        aggregates: whether it is an aggregate function.
    """

    name: str
    alias_to: str
    categories: str
    aggregates: bool


class ReaderGuard:
    """Decides about readers' statements by the functions that this engine has."""

    def __init__(self, functions: Iterable[EngineFunction]) -> None:
        """Take the functions that the engine brings along, aliases included."""
        by_name = {function.name: function for function in functions}
        usable = [one for one in by_name.values() if _computes(by_name.get(one.alias_to, one))]
        self._scalars = _SYNTAX | {one.name.lower() for one in usable if not one.aggregates}
        self._aggregates = frozenset(one.name.lower() for one in usable if one.aggregates)

    def check(self, canonical: str, parse: Callable[[str], str]) -> None:
        """Let pass or raise `StatementRefused`.

        Args:
            canonical: one statement as the engine prints it, a clause a line.
            parse: gives the engine's tree of a statement, as JSON; raises `StatementRefused` where there is none.
        """
        about = _ABOUT_A_TABLE.fullmatch(canonical)
        if about is not None:
            _check_table([part.strip("`") for part in re.findall(r"`[^`]+`|\w+", about["table"])])
            return
        described = _DESCRIBE_QUERY.fullmatch(canonical)
        tree = json.loads(parse(canonical if described is None else described["query"]))
        kinds = {"SelectWithUnionQuery", "SelectQuery", "SelectIntersectExceptQuery"}
        if described is None:
            kinds |= {"ExplainQuery", "ShowTablesQuery", "ShowColumnsQuery"}
        if tree.get("type") not in kinds:
            raise StatementRefused(ONLY_READING)
        for node, place in _nodes(tree, ""):
            self._check_node(node, place)

    def _check_node(self, node: dict[str, Any], place: str) -> None:
        kind = node["type"]
        if kind == "SetQuery" or "settings_ast" in node:
            raise StatementRefused("settings inside of a statement; readers send them as URL parameters")
        if kind not in _NODES:
            raise StatementRefused(f"{kind} is nothing that readers may use")
        if "out_file" in node or "compression" in node:
            raise StatementRefused("INTO OUTFILE writes a file on the server")
        if node.get("param_type") == "Identifier":
            raise StatementRefused("a name as a query parameter")
        if kind == "Function":
            self._check_function(str(node.get("name", "")), is_table=place == "table_function")
        elif kind == "ColumnsApplyTransformer" and "func_name" in node:
            self._check_function(str(node["func_name"]), is_table=False)
        elif kind in {"TableIdentifier", "Identifier"}:
            _check_identifier(node, is_table=kind == "TableIdentifier")
        elif kind in {"ShowTablesQuery", "ShowColumnsQuery"}:
            _check_show(node)

    def _check_function(self, name: str, *, is_table: bool) -> None:
        lowered = name.lower()
        if is_table:
            if lowered not in _TABLE_FUNCTIONS:
                raise StatementRefused(f"the table function {name} is not for readers")
        elif lowered not in self._scalars and not self._aggregating(name):
            raise StatementRefused(f"the function {name} is not for readers, or there is none")

    def _aggregating(self, name: str) -> bool:
        """Whether this is an aggregate function, with or without combinators behind its name."""
        if name.lower() in self._aggregates:
            return True
        return any(
            name.endswith(ending) and len(name) > len(ending) and self._aggregating(name.removesuffix(ending))
            for ending in _COMBINATORS
        )


def _computes(function: EngineFunction) -> bool:
    if function.aggregates or function.name in _FURTHER_FUNCTIONS:
        return function.name not in _NO_AGGREGATES
    families = {family.strip() for family in function.categories.split(",")}
    return families <= _FUNCTION_CATEGORIES


def _nodes(tree: Any, place: str) -> Iterator[tuple[dict[str, Any], str]]:  # noqa: ANN401 - JSON
    """Every node of the tree with the name of the place it stands in."""
    stack = [(tree, place)]
    while stack:
        node, place = stack.pop()
        if isinstance(node, dict):
            if "type" in node:
                yield node, place
            stack.extend((child, name) for name, child in node.items())
        elif isinstance(node, list):
            stack.extend((child, place) for child in node)


def _check_identifier(node: dict[str, Any], *, is_table: bool) -> None:
    parts = [str(part) for part in node.get("name_parts", [node.get("name", "")])]
    if is_table:
        _check_table(parts)
    elif len(parts) > 1 and parts[0].lower() in _SYSTEM_DATABASES:
        # `x IN system.users` names a table where a column could stand.
        _check_table(parts[:2])


def _check_show(node: dict[str, Any]) -> None:
    database = node.get("database") or (node.get("from") or {}).get("name") or DATABASE
    if node.get("type") == "ShowColumnsQuery":
        _check_table([str(database), str(node.get("table", ""))])


def _check_table(parts: list[str]) -> None:
    database, table = (DATABASE, parts[0]) if len(parts) == 1 else (parts[0].lower(), parts[-1])
    known = len(parts) in {1, 2} and (
        database in {DATABASE, "information_schema"} or (database == "system" and table.lower() in _SYSTEM_TABLES)
    )
    if not known:
        raise StatementRefused(f"the table {'.'.join(parts)} is not for readers")
