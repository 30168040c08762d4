-- Ideas move through stages; from now on the moves are kept.

-- Used by later releases only: a new label may not be used in the transaction that adds it.
ALTER TYPE vh.idea_stage ADD VALUE IF NOT EXISTS 'spun_out';

CREATE TABLE vh.idea_stage_transitions (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    idea_id    integer       NOT NULL REFERENCES vh.ideas (id) ON DELETE CASCADE,
    from_stage vh.idea_stage,
    to_stage   vh.idea_stage NOT NULL,
    moved_at   timestamptz   NOT NULL DEFAULT now()
);
CREATE INDEX idea_stage_transitions_idea_id_idx ON vh.idea_stage_transitions (idea_id, moved_at);

CREATE FUNCTION vh.keep_idea_stage() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO vh.idea_stage_transitions (idea_id, from_stage, to_stage)
    VALUES (NEW.id, OLD.stage, NEW.stage);
    RETURN NULL;
END
$function$;

CREATE TRIGGER keep_stage
    AFTER UPDATE OF stage ON vh.ideas
    FOR EACH ROW WHEN (OLD.stage IS DISTINCT FROM NEW.stage)
    EXECUTE FUNCTION vh.keep_idea_stage();

INSERT INTO vh.idea_stage_transitions (idea_id, to_stage, moved_at)
SELECT id, 'submitted', submitted_at FROM vh.ideas;

INSERT INTO vh.idea_stage_transitions (idea_id, from_stage, to_stage, moved_at)
SELECT id, 'submitted', stage, submitted_at + interval '14 days'
FROM vh.ideas
WHERE stage <> 'submitted';

INSERT INTO audit.migration_log (version) VALUES ('20250912_001_idea_stage_transitions');
