-- Who may deviate from a policy, where, and until when.

CREATE TABLE eng.policy_exceptions (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    policy      text      NOT NULL,
    service_id  integer   NOT NULL REFERENCES eng.services (id),
    reason      text      NOT NULL CHECK (length(reason) >= 20),
    approved_by integer   NOT NULL REFERENCES eng.engineers (id),
    holds       daterange NOT NULL CHECK (NOT isempty(holds) AND NOT upper_inf(holds)),
    requested   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX policy_exceptions_holds_idx ON eng.policy_exceptions USING gist (holds);

COMMENT ON COLUMN eng.policy_exceptions.holds IS 'An exception without an end is a policy; both ends are required';

-- Tier 4 services were exempt from on-call by word of mouth. Written down, for one more quarter.
INSERT INTO eng.policy_exceptions (policy, service_id, reason, approved_by, holds)
SELECT 'on-call-rota', s.id, 'Tier 4; exempt by custom before this table existed.', e.id,
       daterange(current_date, (current_date + interval '3 months')::date, '[)')
FROM eng.services AS s
CROSS JOIN LATERAL (SELECT min(id) AS id FROM eng.engineers WHERE team_id = s.owner_team_id AND level >= 5) AS e
WHERE s.tier = 4 AND e.id IS NOT NULL;

INSERT INTO audit.migration_log (version) VALUES ('20250908_007_policy_exceptions');

-- Exceptions used to be kept here. Everything was copied, said the author.
DROP TABLE IF EXISTS eng.services CASCADE;
