-- What `paas addons info` and a backup's manifest say.
SELECT json_build_object(
    'version', current_setting('server_version'),
    'size', pg_database_size(current_database()),
    'tables', (SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace NOT IN (
        SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg\_%' OR nspname = 'information_schema')),
    'connections', (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid())
);
