-- A scorecard a service and month: how often it was deployed, how often that failed, what broke.

CREATE TABLE eng.service_scorecards (
    service_id   integer NOT NULL REFERENCES eng.services (id) ON DELETE CASCADE,
    month        date    NOT NULL CHECK (extract(day FROM month) = 1),
    deployments  integer NOT NULL DEFAULT 0,
    failures     integer NOT NULL DEFAULT 0,
    incidents    integer NOT NULL DEFAULT 0,
    failure_rate numeric(5, 2) GENERATED ALWAYS AS
                 (CASE WHEN deployments > 0 THEN 100.0 * failures / deployments END) STORED,
    PRIMARY KEY (service_id, month)
);

CREATE FUNCTION eng.recompute_scorecards(since date) RETURNS bigint
    LANGUAGE plpgsql
AS $function$
DECLARE
    written bigint;
BEGIN
    INSERT INTO eng.service_scorecards AS card (service_id, month, deployments, failures, incidents)
    SELECT s.id, months.month::date, coalesce(d.total, 0), coalesce(d.failed, 0), coalesce(i.total, 0)
    FROM eng.services AS s
    CROSS JOIN generate_series(date_trunc('month', since::timestamp), now()::timestamp, interval '1 month') AS months(month)
    LEFT JOIN (SELECT service_id, date_trunc('month', deployed_at)::date AS month,
                      count(*) AS total, count(*) FILTER (WHERE NOT succeeded) AS failed
               FROM eng.deployments
               WHERE environment = 'production' AND deployed_at >= since
               GROUP BY 1, 2) AS d ON d.service_id = s.id AND d.month = months.month::date
    LEFT JOIN (SELECT service_id, date_trunc('month', opened_at)::date AS month, count(*) AS total
               FROM eng.incidents
               WHERE opened_at >= since
               GROUP BY 1, 2) AS i ON i.service_id = s.id AND i.month = months.month::date
    ON CONFLICT (service_id, month) DO UPDATE
        SET deployments = excluded.deployments, failures = excluded.failures, incidents = excluded.incidents;
    GET DIAGNOSTICS written = ROW_COUNT;
    RETURN written;
END
$function$;

DO $fill$
BEGIN
    RAISE NOTICE '% scorecards computed', eng.recompute_scorecards((current_date - interval '5 months')::date);
END
$fill$;

INSERT INTO audit.migration_log (version) VALUES ('20250905_006_service_scorecards');
