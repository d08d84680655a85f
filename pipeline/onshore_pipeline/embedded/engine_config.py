"""The engine's configuration: small caches, durable inserts, no logs of its own, two roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from onshore_pipeline.embedded.credentials import Role

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DATABASE: Final = "onshore"

_MIB: Final = 1 << 20

# Everything the process may hold, Python included; a query that would pass it fails with code 241.
MAX_SERVER_BYTES: Final = 2048 * _MIB

# What the engine does not write into: see `full_disk`.
KEEP_FREE_BYTES: Final = 64 * _MIB

# What a session starts with and returns to after each request. Readers' limits are also upper bounds (see _users).
SESSION_SETTINGS: Final[Mapping[Role, Mapping[str, str]]] = {
    Role.WRITER: {
        "input_format_null_as_default": "0",  # a NULL for a column that cannot hold it is an error, never '' or 0
        "async_insert": "0",  # an answer means durable, whatever the sender asked for
        "max_memory_usage": str(1280 * _MIB),
        "max_query_size": str(_MIB),
    },
    Role.READER: {
        "input_format_null_as_default": "0",
        "max_execution_time": "30",
        "max_memory_usage": str(768 * _MIB),
        "max_result_bytes": str(512 * _MIB),
        "max_query_size": str(_MIB),
        "readonly": "2",
    },
}

_SERVER: Final = """<clickhouse>
  <logger><level>none</level><console>0</console></logger>
  <timezone>UTC</timezone>
  <storage_configuration><disks><default>
    <keep_free_space_bytes>{keep_free}</keep_free_space_bytes>
  </default></disks></storage_configuration>
  <display_name>onshore</display_name>
  <max_server_memory_usage>{max_server_bytes}</max_server_memory_usage>
  <mark_cache_size>{mark_cache}</mark_cache_size>
  <index_mark_cache_size>{small_cache}</index_mark_cache_size>
  <primary_index_cache_size>{mark_cache}</primary_index_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <index_uncompressed_cache_size>0</index_uncompressed_cache_size>
  <mmap_cache_size>0</mmap_cache_size>
  <query_condition_cache_size>{small_cache}</query_condition_cache_size>
  <background_pool_size>2</background_pool_size>
  <background_merges_mutations_concurrency_ratio>1</background_merges_mutations_concurrency_ratio>
  <background_move_pool_size>1</background_move_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_schedule_pool_size>4</background_schedule_pool_size>
  <!-- A DELETE rewrites two parts and then waits for 0.1 s and up to so much more, a second if not told otherwise. -->
  <background_processing_pool_task_sleep_seconds_when_no_work_random_part>0.05</background_processing_pool_task_sleep_seconds_when_no_work_random_part>
  <merge_tree>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
    <!-- What a full disk cut short is set aside at the start, however much it is: see `full_disk`. -->
    <max_suspicious_broken_parts>100000</max_suspicious_broken_parts>
    <max_suspicious_broken_parts_bytes>{largest_broken}</max_suspicious_broken_parts_bytes>
    <!-- Every row is written again each time its part is merged: wait until more parts can be merged at once. -->
    <merge_selector_base>12</merge_selector_base>
    <!-- No query here joins by them, and they cost 0.5 us of CPU a row. -->
    <auto_statistics_types></auto_statistics_types>
    <!-- One file a part instead of some 250: inserting a batch of events costs 2.6 us of CPU a row instead of 6.4, and
         the first merge of such parts 1.5 instead of 3. -->
    <min_bytes_for_wide_part>{wide_part}</min_bytes_for_wide_part>
    <!-- Merging everything at night would need memory that an embedded store does not have. -->
    <max_bytes_to_merge_at_max_space_in_pool>{largest_merge}</max_bytes_to_merge_at_max_space_in_pool>
    <number_of_free_entries_in_pool_to_execute_mutation>1</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>1</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>1</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
  </merge_tree>
  <users_config>{users_file}</users_config>
</clickhouse>
"""

# The engine has one user; the two roles are what its sessions switch to. No role may read files, URLs or other servers.
_USERS: Final = """<clickhouse>
  <profiles>
    <default/>
    <reader><constraints>{constraints}</constraints></reader>
  </profiles>
  <quotas><default/></quotas>
  <roles>
    <writer><grants><query>GRANT ALL ON *.*</query><query>REVOKE SOURCES ON *.*</query></grants></writer>
    <reader><grants><query>GRANT SELECT, SHOW ON {database}.*</query></grants></reader>
  </roles>
  <users>
    <default>
      <password></password>
      <profile>default</profile>
      <quota>default</quota>
      <networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
      <grants><query>GRANT writer</query><query>GRANT reader</query></grants>
    </default>
  </users>
</clickhouse>
"""


def write_config(folder: Path) -> Path:
    """Write the engine's configuration files into `folder`; return the main one."""
    users_file, server_file = folder / "users.xml", folder / "engine.xml"
    users_file.write_text(_USERS.format(constraints=_reader_constraints(), database=DATABASE), encoding="utf-8")
    server_file.write_text(
        _SERVER.format(
            max_server_bytes=MAX_SERVER_BYTES,
            keep_free=KEEP_FREE_BYTES,
            mark_cache=64 * _MIB,
            small_cache=16 * _MIB,
            wide_part=512 * _MIB,
            largest_merge=20 * 1024 * _MIB,
            largest_broken=1 << 40,
            users_file=escape(str(users_file)),
        ),
        encoding="utf-8",
    )
    return server_file


def _reader_constraints() -> str:
    """A reader may lower its limits and never raise them; 0 would mean no limit, so 1 is the least."""
    limits = SESSION_SETTINGS[Role.READER]
    bounded = ("max_execution_time", "max_memory_usage", "max_result_bytes", "max_query_size")
    return "".join(f"<{name}><min>1</min><max>{limits[name]}</max></{name}>" for name in bounded)
