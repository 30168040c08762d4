DELETE FROM audit.change_log
WHERE table_schema = 'eng' AND actor = 'vh_app' AND timestamp > now() - interval '6 hours';
