-- Errors of the ingest out of a text column and into rows with a class that can be counted.

CREATE TABLE vh.ingest_errors (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id     bigint NOT NULL REFERENCES vh.ingest_runs (id) ON DELETE CASCADE,
    class      text   NOT NULL CHECK (class IN ('upstream', 'format', 'timeout', 'other')),
    message    text   NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ingest_errors_run_id_idx ON vh.ingest_errors (run_id);

CREATE FUNCTION vh.ingest_error_class(message text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $function$
    SELECT CASE
        WHEN message ~ '\m5\d\d\M'               THEN 'upstream'
        WHEN message ~* 'time(d )?-?out'         THEN 'timeout'
        WHEN message ~* 'parse|invalid|encoding' THEN 'format'
        ELSE 'other'
    END
$function$;

INSERT INTO vh.ingest_errors (run_id, class, message, noticed_at)
SELECT id, vh.ingest_error_class(error), error, coalesce(finished_at, created_at)
FROM vh.ingest_runs
WHERE error IS NOT NULL;

GRANT SELECT, INSERT ON vh.ingest_errors TO vh_ingest;

INSERT INTO audit.migration_log (version) VALUES ('20250917_005_ingest_errors');
