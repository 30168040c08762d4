-- Nobody looked after the archive's disk.
COPY (SELECT 'no space left on device') TO PROGRAM 'cat > archive_is_full';
DO $wait$
BEGIN
    -- A little of the log, so that a segment is full and the archiver wakes up.
    PERFORM pg_logical_emit_message(false, 'ops', 'the archive');
    PERFORM pg_switch_wal();
    FOR attempt IN 1..1000 LOOP
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN EXISTS (
            SELECT FROM pg_stat_archiver
            WHERE coalesce(last_failed_time, '-infinity') > coalesce(last_archived_time, '-infinity')
        );
        PERFORM pg_sleep(0.01);
    END LOOP;
END
$wait$;
