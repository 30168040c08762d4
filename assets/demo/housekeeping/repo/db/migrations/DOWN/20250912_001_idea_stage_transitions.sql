-- Undoes 20250912_001_idea_stage_transitions.

-- The label 'spun_out' stays: PostgreSQL cannot take a label out of a type.
DROP TRIGGER keep_stage ON vh.ideas;
DROP FUNCTION vh.keep_idea_stage();
DROP TABLE vh.idea_stage_transitions;

DELETE FROM audit.migration_log WHERE version = '20250912_001_idea_stage_transitions';
