-- Tags out of the array and into rows, so that they can be counted and renamed.
-- The array stays, kept in step by a trigger, until the last writer has gone.

CREATE TABLE eng.decision_tags (
    decision_id integer NOT NULL REFERENCES eng.decision_records (id) ON DELETE CASCADE,
    tag         text    NOT NULL CHECK (tag = lower(tag)),
    PRIMARY KEY (decision_id, tag)
);
CREATE INDEX decision_tags_tag_idx ON eng.decision_tags (tag);

INSERT INTO eng.decision_tags (decision_id, tag)
SELECT DISTINCT r.id, lower(t.tag)
FROM eng.decision_records AS r
CROSS JOIN LATERAL unnest(r.tags) AS t(tag);

CREATE FUNCTION eng.copy_decision_tags() RETURNS trigger
    LANGUAGE plpgsql
AS $function$
BEGIN
    DELETE FROM eng.decision_tags WHERE decision_id = NEW.id AND tag <> ALL (NEW.tags);
    INSERT INTO eng.decision_tags (decision_id, tag)
    SELECT NEW.id, lower(tag) FROM unnest(NEW.tags) AS tag
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$function$;

CREATE TRIGGER copy_tags
    AFTER INSERT OR UPDATE OF tags ON eng.decision_records
    FOR EACH ROW EXECUTE FUNCTION eng.copy_decision_tags();

INSERT INTO audit.migration_log (version) VALUES ('20250909_008_decision_tags');
