"""A read-only user can write nothing, and reach no file, address or other server through SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

WRITES = [
    "INSERT INTO facts VALUES (9, 'x', 1)",
    "INSERT INTO facts SELECT * FROM facts",
    "insert into function file('/tmp/onshore-attack.csv') select 1",
    "INSERT INTO facts FROM INFILE '/etc/passwd' FORMAT CSV",
    "CREATE TABLE stolen (a Int8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE stolen (a Int8)",
    "CREATE TABLE stolen ENGINE = File(CSV, '/etc/passwd')",
    "CREATE VIEW stolen AS SELECT 1",
    "CREATE FUNCTION stolen AS x -> x",
    "CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(FILE(path '/etc/passwd' format 'CSV')) LAYOUT(FLAT())",
    "CREATE USER intruder",
    "CREATE DATABASE stolen",
    "ALTER TABLE facts DELETE WHERE 1",
    "DELETE FROM facts WHERE 1",
    "UPDATE facts SET word = 'x' WHERE 1",
    "TRUNCATE TABLE facts",
    "DROP TABLE facts",
    "RENAME TABLE facts TO other",
    "EXCHANGE TABLES facts AND facts",
    "OPTIMIZE TABLE facts",
    "DETACH TABLE facts",
    "ATTACH TABLE stolen FROM '/etc' (a Int8) ENGINE = Memory",
    "SYSTEM SHUTDOWN",
    "SYSTEM FLUSH LOGS",
    "KILL QUERY WHERE 1",
    "BACKUP TABLE facts TO File('/tmp/onshore-attack')",
    "RESTORE TABLE facts FROM File('/tmp/onshore-attack')",
    "GRANT ALL ON *.* TO default",
    "SET ROLE writer",
    "SET ROLE ALL",
    "SET readonly = 0",
    "SET profile = 'default'",
    "USE system",
    "EXECUTE AS default SELECT 1",
    "BEGIN TRANSACTION",
    "CHECK TABLE facts",
    "MOVE PARTITION",
    "COPY facts TO '/tmp/onshore-attack'",
    "EXPLAIN INSERT INTO facts SELECT * FROM facts",
    "WITH x AS (SELECT 1) INSERT INTO facts SELECT * FROM facts",
    "SELECT 1 PARALLEL WITH DROP TABLE facts",
    "SELECT 1; DROP TABLE facts",
    "SELECT 1;; SET ROLE writer",
    "SELECT 1 /* ; */; -- x\n SET ROLE writer",
    "-- SELECT\nDROP TABLE facts",
    "/* SELECT 1 */ DROP TABLE facts",
]

FILES = [
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM FILE('/etc/passwd', 'LineAsString')",
    "SELECT * FROM `file`('/etc/passwd', LineAsString)",
    "SELECT file('/etc/passwd')",
    "SELECT File('/etc/passwd')",
    "SELECT \"file\"('/etc/passwd')",
    "SELECT arrayMap(x -> file(x), ['/etc/passwd'])",
    "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')",
    "SELECT * APPLY(x -> file(x)) FROM (SELECT '/etc/passwd')",
    "SELECT COLUMNS('.*') APPLY file FROM (SELECT '/etc/passwd' AS p)",
    "SELECT * REPLACE (file(p) AS p) FROM (SELECT '/etc/passwd' AS p)",
    "SELECT count() FROM facts WHERE word = file('/etc/hostname')",
    "SELECT sum(1) OVER (PARTITION BY file('/etc/hostname'))",
    "SELECT 1 ORDER BY file('/etc/hostname')",
    "SELECT 1 LIMIT length(file('/etc/hostname'))",
    "SELECT id FROM facts LIMIT 1 BY file('/etc/hostname')",
    "WITH file('/etc/passwd') AS x SELECT x",
    "WITH x AS (SELECT * FROM file('/etc/passwd', 'LineAsString')) SELECT * FROM x",
    "SELECT (SELECT file('/etc/passwd'))",
    "SELECT 1 WHERE 1 IN (SELECT * FROM file('/etc/passwd', 'CSV'))",
    "SELECT 1 UNION ALL SELECT length(file('/etc/passwd'))",
    "SELECT 1 INTERSECT SELECT length(file('/etc/passwd'))",
    "SELECT * FROM facts ARRAY JOIN [file('/etc/passwd')] AS x",
    "SELECT * FROM facts AS a JOIN file('/etc/passwd', 'LineAsString') AS b ON 1",
    "SELECT * FROM view(SELECT file('/etc/passwd'))",
    "SELECT * FROM values('a String', file('/etc/passwd'))",
    "SELECT * FROM numbers(length(file('/etc/passwd')))",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM `/etc/passwd`",
    "SELECT * FROM default.`/etc/passwd`",
    "SELECT * FROM \"file('/etc/passwd')\"",
    "SELECT * FROM fileCluster('default', '/etc/passwd', 'LineAsString')",
    "SELECT * FROM filesystem('/etc')",
    "SELECT * FROM sqlite('/tmp/a.db', 't')",
    "SELECT * FROM deltaLakeLocal('/tmp')",
    "SELECT * FROM icebergLocal('/tmp')",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT * FROM arrowstream('/tmp/a')",
    "SELECT * FROM python('globals()')",
    "SELECT * FROM Python(credentials)",
    "SELECT * FROM eval('select 1')",
    "SELECT * FROM loop(facts) LIMIT 1",
    "SELECT * FROM input('a String') FORMAT CSV",
    "SELECT * FROM format('CSV', '1')",
    "SELECT 1 INTO OUTFILE '/tmp/onshore-attack.txt'",
    "SELECT 1 INTO OUTFILE '/tmp/onshore-attack.txt' TRUNCATE FORMAT CSV",
    "EXPLAIN SELECT 1 INTO OUTFILE '/tmp/onshore-attack.txt'",
    "SHOW TABLES INTO OUTFILE '/tmp/onshore-attack.txt'",
    "DESCRIBE TABLE facts INTO OUTFILE '/tmp/onshore-attack.txt'",
    "DESCRIBE file('/etc/passwd')",
    "DESCRIBE (SELECT file('/etc/passwd'))",
    "DESCRIBE TABLE (SELECT 1) INTO OUTFILE '/tmp/onshore-attack.txt'",
    "EXPLAIN SELECT * FROM file('/etc/passwd')",
    "EXPLAIN AST SELECT file('/etc/passwd')",
    "SELECT catboostEvaluate('/etc/passwd', 1)",
    "SELECT dictGet('d', 'a', 1)",
    "SELECT joinGet('j', 'a', 1)",
]

# Names in quotes are names of tables, whatever they look like.
NO_SUCH_TABLE = {"SELECT * FROM '/etc/passwd'", "SELECT * FROM `/etc/passwd`", "SELECT * FROM \"file('/etc/passwd')\""}

SERVERS = [
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM urlCluster('default', 'http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM s3('http://127.0.0.1:1/bucket/a.csv')",
    "SELECT * FROM gcs('http://127.0.0.1:1/bucket/a.csv')",
    "SELECT * FROM hdfs('hdfs://127.0.0.1:1/a', 'CSV')",
    "SELECT * FROM azureBlobStorage('http://127.0.0.1:1', 'c', 'b')",
    "SELECT * FROM remote('127.0.0.1:1', system.one)",
    "SELECT * FROM remoteSecure('127.0.0.1:1', system.one)",
    "SELECT * FROM cluster('default', system.one)",
    "SELECT * FROM clusterAllReplicas('default', system.one)",
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM mongodb('127.0.0.1:1', 'a', 'b', 'c', 'd', 'a Int8')",
    "SELECT * FROM redis('127.0.0.1:1', 'a', 'a Int8')",
    "SELECT * FROM odbc('a', 'b', 'c')",
    "SELECT * FROM jdbc('a', 'b', 'c')",
    "SELECT * FROM bigquery('a', 'b', 'c')",
    "SELECT * FROM iceberg('http://127.0.0.1:1/a')",
    "SELECT * FROM deltaLake('http://127.0.0.1:1/a')",
    "SELECT * FROM dictionary('d')",
    "SELECT aiGenerate('x')",
]

SECRETS = [
    "SELECT * FROM system.processes",
    "SELECT * FROM system.users",
    "SELECT * FROM System.Users",
    "SELECT * FROM `system`.`processes`",
    "SELECT * FROM system.server_settings",
    "SELECT * FROM system.disks",
    "SELECT * FROM system.parts",
    "SELECT * FROM system.named_collections",
    "SELECT * FROM system.query_log",
    "SELECT * FROM system.user_query_log",
    "SELECT * FROM system.stack_trace",
    "SELECT 1 WHERE 1 IN system.processes",
    "SELECT 1 WHERE 'x' IN (system.users)",
    "SELECT * FROM merge('system', '.*')",
    "SELECT * FROM mergeTreeIndex('onshore', 'facts')",
    "SELECT * FROM {table:Identifier}",
    "SELECT * FROM {db:Identifier}.processes",
    "DESCRIBE TABLE system.processes",
    "EXISTS TABLE system.processes",
    "SHOW CREATE TABLE system.processes",
    "SHOW COLUMNS FROM processes FROM system",
    "SHOW PROCESSLIST",
    "SHOW GRANTS",
    "SHOW ACCESS",
    "SHOW USERS",
    "SELECT hostName()",
    "SELECT fqdn()",
    "SELECT getOSKernelVersion()",
    "SELECT getMacro('x')",
    "SELECT getServerSetting('path')",
    "SELECT filesystemCapacity()",
    "SELECT serverUUID()",
    "SELECT showCertificate()",
    "SELECT addressToLine(1)",
    "SELECT @@hostname",
    "SELECT __getScalar('x')",
    "SELECT sleep(3)",
    "SELECT sleepEachRow(1) FROM numbers(3)",
    "SELECT 1 SETTINGS max_execution_time = 1000",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT (SELECT 1 SETTINGS readonly = 0)",
    "SELECT * FROM (SELECT 1 SETTINGS max_memory_usage = 0)",
    "SELECT 1 FORMAT CSV SETTINGS format_csv_delimiter = ','",
]


@pytest.mark.parametrize("statement", [*WRITES, *FILES, *SERVERS, *SECRETS])
def test_a_reader_is_refused(store: Any, statement: str) -> None:
    answer = store.ask(statement, user="reader", param_table="facts", param_db="system")

    assert answer.status in {400, 403, 404}, answer.body.decode()
    assert answer.code in ({60} if statement in NO_SUCH_TABLE else {497, 164, 62}), answer.body.decode()
    assert b"root:" not in answer.body


def test_the_facts_are_still_there_and_nothing_was_written(store: Any) -> None:
    for statement in WRITES:
        store.ask(statement, user="reader")

    assert store.ask("SELECT count() FROM facts").body == b"3\n"
    assert store.ask("SHOW TABLES LIKE '%fact%'").body == b"facts\n"
    assert not list(Path("/tmp").glob("onshore-attack*"))


@pytest.mark.parametrize("statement", [*SERVERS, *(one for one in FILES if one.startswith("SELECT * FROM file"))])
def test_behind_the_lists_the_engine_itself_reaches_no_file_and_no_server(store: Any, statement: str) -> None:
    """The writer's statements are not compared with any list; its role has no right to files and servers either."""
    answer = store.ask(statement, user="writer")

    assert answer.status != 200
    assert b"root:" not in answer.body


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("readonly", "0"),
        ("profile", "default"),
        ("role", "writer"),
        ("max_execution_time", "31"),
        ("max_execution_time", "0"),
        ("max_memory_usage", "0"),
        ("max_memory_usage", "99999999999"),
        ("max_result_bytes", "0"),
        ("allow_introspection_functions", "1"),
        ("dialect", "prql"),
        ("format_schema", "/etc/passwd"),
        ("output_format_schema", "/tmp/onshore-attack"),
        ("additional_table_filters", "{'facts':'1'}"),
        ("max_untracked_memory", "99999999999"),
        ("x') , ('readonly", "0"),
        ("max_threads' = 1, readonly", "0"),
    ],
)
def test_a_reader_cannot_lift_its_limits_by_url_settings(store: Any, setting: str, value: str) -> None:
    answer = store.ask("SELECT getSetting('readonly')", user="reader", **{setting: value})

    if setting == "role":  # part of the interface, taken and not followed
        assert answer.body == b"2\n"
    else:
        assert answer.code in {164, 452, 115}, answer.body.decode()


def test_a_setting_of_one_request_is_gone_in_the_next(store: Any) -> None:
    assert store.ask("SELECT getSetting('max_execution_time')", user="reader", max_execution_time="7").body == b"7\n"
    assert store.ask("SELECT getSetting('max_execution_time')", user="reader").body == b"30\n"


def test_a_reader_that_takes_too_long_is_stopped(store: Any) -> None:
    statement = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"

    answer = store.ask(statement, user="reader", max_execution_time="1")

    assert answer.code == 159, answer.body.decode()


def test_a_reader_that_wants_too_much_memory_is_stopped(store: Any) -> None:
    answer = store.ask("SELECT groupArray(number) FROM numbers(100000000)", user="reader", max_memory_usage="50000000")

    assert answer.code == 241, answer.body.decode()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT count() FROM facts", b"3\n"),
        ("SELECT count() FROM onshore.facts", b"3\n"),
        ("(SELECT 1) UNION ALL (SELECT 1)", b"1\n1\n"),
        ("FROM facts SELECT max(id)", b"3\n"),
        ("WITH (SELECT max(id) FROM facts) AS newest SELECT newest", b"3\n"),
        ("WITH x AS (SELECT id FROM facts) SELECT sum(id) FROM x", b"6\n"),
        ("SELECT word, id FROM facts WHERE word IN ('one', 'two') ORDER BY id LIMIT 1 BY word FORMAT CSV",
         b'"one",1\n"two",2\n'),
        ("SELECT sumIf(id, word != 'one'), argMaxOrNull(word, id), uniqExact(word) FROM facts", b"5\tthree\t3\n"),
        ("SELECT groupArray(id) FROM (SELECT id FROM facts ORDER BY id)", b"[1,2,3]\n"),
        ("SELECT id, sum(id) OVER (ORDER BY id) FROM facts ORDER BY id", b"1\t1\n2\t3\n3\t6\n"),
        ("SELECT number FROM numbers(2)", b"0\n1\n"),
        ("SELECT toStartOfHour(at), formatDateTime(at, '%Y') FROM facts LIMIT 1", b"1970-01-01 00:00:00\t1970\n"),
        ("SELECT if(id > 2, 'many', 'few') FROM facts ORDER BY id", b"few\nfew\nmany\n"),
        ("SELECT EXISTS(SELECT 1 FROM facts)", b"1\n"),
        ("SELECT CASE word WHEN 'one' THEN 1 ELSE 0 END FROM facts ORDER BY id", b"1\n0\n0\n"),
        ("SELECT uniq(DISTINCT id), row_number() OVER (ORDER BY word), word || 'x' FROM facts GROUP BY word ORDER BY 3",
         b"1\t1\tonex\n1\t2\tthreex\n1\t3\ttwox\n"),
        ("SELECT at + INTERVAL 1 DAY, DATE '2026-01-01', extract(YEAR FROM at), id BETWEEN 1 AND 2 FROM facts LIMIT 1",
         b"1970-01-02 00:00:01.000\t2026-01-01\t1970\t1\n"),
        ("SELECT CASE WHEN id = 1 THEN 'a' ELSE 'b' END FROM facts ORDER BY id", b"a\nb\nb\n"),
        ("SELECT arrayMap(x -> x * 2, [1, 2]), mapKeys(map('a', 1)), ['a'][1], (1, 'b').2", b"[2,4]\t['a']\ta\tb\n"),
        ("SELECT lower(hex('x')), toString(toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0'))",
         b"78\t61f0c404-5cb3-11e7-907b-a6006ad3dba0\n"),
        ("SELECT IPv6NumToString(toIPv6('::1')), quantile(0.5)(id) FROM facts", b"::1\t2\n"),
        ("SELECT * EXCEPT at FROM facts ORDER BY id LIMIT 1", b"1\tone\n"),
        ("SELECT a.id FROM facts AS a INNER JOIN facts AS b ON a.id = b.id ORDER BY a.id LIMIT 1", b"1\n"),
        ("SELECT id FROM facts WHERE id NOT IN (SELECT id FROM facts WHERE id > 1)", b"1\n"),
        ("SHOW TABLES LIKE 'fact%'", b"facts\n"),
        ("EXISTS TABLE facts", b"1\n"),
        ("EXISTS TABLE onshore.facts", b"1\n"),
        ("SELECT name FROM system.tables WHERE database = 'onshore' AND name = 'facts'", b"facts\n"),
        ("SELECT name FROM system.columns WHERE table = 'facts' LIMIT 1", b"id\n"),
        ("SELECT currentDatabase(), timezone()", b"onshore\tUTC\n"),
        ("SELECT 'DROP TABLE facts; file(1) system.users'", b"DROP TABLE facts; file(1) system.users\n"),
        ("SELECT 1 -- ; DROP TABLE facts", b"1\n"),
        ("SELECT 1;", b"1\n"),
    ],
)  # fmt: skip
def test_a_reader_may_read(store: Any, statement: str, expected: bytes) -> None:
    answer = store.ask(statement, user="reader")

    assert answer.body == expected
    assert answer.status == 200


@pytest.mark.parametrize(
    "statement",
    [
        "DESCRIBE TABLE facts",
        "DESCRIBE (SELECT id FROM facts) FORMAT CSV",
        "SHOW CREATE TABLE facts",
        "EXPLAIN SELECT 1",
        "SHOW DATABASES",
        "SHOW COLUMNS FROM facts",
        "SHOW SETTINGS LIKE 'max_threads'",
    ],
)
def test_a_reader_may_look_around(store: Any, statement: str) -> None:
    assert store.ask(statement, user="reader").status == 200
