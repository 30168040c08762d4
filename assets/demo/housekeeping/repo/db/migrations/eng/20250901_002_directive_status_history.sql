-- Every change of a directive's status is kept, with who made it.

CREATE TABLE eng.directive_status_history (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    directive_id bigint               NOT NULL REFERENCES eng.strategic_directives_v2 (id) ON DELETE CASCADE,
    from_status  eng.directive_status,
    to_status    eng.directive_status NOT NULL,
    changed_at   timestamptz          NOT NULL DEFAULT now(),
    changed_by   text                 NOT NULL DEFAULT session_user
);

CREATE INDEX directive_status_history_directive_id_idx
    ON eng.directive_status_history (directive_id, changed_at DESC);

CREATE FUNCTION eng.keep_directive_status() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO eng.directive_status_history (directive_id, to_status)
        VALUES (NEW.id, NEW.status);
    ELSE
        INSERT INTO eng.directive_status_history (directive_id, from_status, to_status)
        VALUES (NEW.id, OLD.status, NEW.status);
        INSERT INTO audit.change_log (operation, table_schema, table_name, detail)
        VALUES ('STATUS', TG_TABLE_SCHEMA, TG_TABLE_NAME,
                jsonb_build_object('id', NEW.id, 'from', OLD.status, 'to', NEW.status));
    END IF;
    RETURN NULL;
END
$function$;

-- Two triggers, because an INSERT has no OLD to compare with.
CREATE TRIGGER keep_first_status
    AFTER INSERT ON eng.strategic_directives_v2
    FOR EACH ROW EXECUTE FUNCTION eng.keep_directive_status();
CREATE TRIGGER keep_status
    AFTER UPDATE OF status ON eng.strategic_directives_v2
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
    EXECUTE FUNCTION eng.keep_directive_status();

-- What is known of the past: that each directive was opened.
INSERT INTO eng.directive_status_history (directive_id, to_status, changed_at, changed_by)
SELECT id, status, opened_on::timestamptz, 'migration 20250901_002'
FROM eng.strategic_directives_v2;

INSERT INTO audit.migration_log (version) VALUES ('20250901_002_directive_status_history');
