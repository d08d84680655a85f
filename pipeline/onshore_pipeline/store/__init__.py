"""ClickHouse: tables, migrations, writer, reader."""
