CREATE OR REPLACE FUNCTION eng.working_days(since date, until date) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $function$
    SELECT (until - since) - 2 * ((until - since) / 7)
$function$;
