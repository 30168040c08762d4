-- Rows of the sample production, the same at every load except for the clock: times are counted
-- from now(), so that a question about the last hour has an answer.
--
-- What the services would log during the next six hours is written ahead, so that a world that
-- nobody drives has answers too; the questions asked of it stop at now(). While a demo is open,
-- traffic.tick adds what happens.

SET ROLE ehg_owner;

INSERT INTO audit.migration_log (version, applied_at)
SELECT to_char(date '2025-01-06' + i * 14, 'YYYYMMDD') || '_' || lpad(i::text, 3, '0') || '_baseline',
       timestamptz '2025-01-06 03:00+00' + i * interval '14 days'
FROM generate_series(1, 16) AS i;

INSERT INTO eng.teams
SELECT i, 'Team ' || (ARRAY['Atlas','Birch','Cobalt','Delta','Ember','Fjord','Garnet','Harbor'])[1 + (i - 1) % 8]
            || ' ' || (1 + (i - 1) / 8),
       (ARRAY['Platform','Product','Data'])[1 + (i - 1) % 3]
FROM generate_series(1, 24) AS i;

INSERT INTO eng.engineers
SELECT i, 1 + i % 24,
       (ARRAY['Ada','Ben','Chiara','Dmitri','Elif','Femi','Greta','Hugo','Ines','Jonas'])[1 + i % 10] || ' '
         || (ARRAY['Almeida','Brandt','Costa','Diallo','Eriksen','Fischer','Grant','Haas'])[1 + i / 10 % 8],
       'engineer' || i || '@ehg.example', 1 + i % 8, date '2016-02-01' + i * 7
FROM generate_series(1, 480) AS i;

INSERT INTO eng.services (id, name, tier, repository, owner_team_id, created_at)
SELECT i, (ARRAY['billing','catalog','identity','ingest','ledger','notify','search','telemetry'])[1 + i % 8]
            || '-' || (ARRAY['api','worker','web','sync'])[1 + i / 8 % 4] || '-' || i,
       1 + i % 4, 'git.ehg.example/eng/service-' || i,
       CASE WHEN i % 9 <> 0 THEN 1 + i % 24 END, now() - i * interval '9 days'
FROM generate_series(1, 160) AS i;

INSERT INTO eng.strategic_directives
SELECT i, 'Directive ' || i || ': ' || (ARRAY['reduce lead time','retire the legacy catalogue','zero trust between services',
                                              'one way to deploy','cost per request','accessible by default'])[1 + i % 6],
       repeat('Why it matters, what will be measured, who answers for it. ', 1 + i % 4),
       (ARRAY['Open','In progress','in-progress','Done','dropped','OPEN'])[1 + i % 6],
       CASE WHEN i % 11 <> 0 THEN 'engineer' || (1 + i % 480) || '@ehg.example' END,
       (ARRAY['P1','P2','P3',NULL])[1 + i % 4],
       current_date - (i % 700), current_date + (i % 400) - 100
FROM generate_series(1, 1200) AS i;

INSERT INTO eng.decision_records
SELECT i, CASE WHEN i % 7 <> 0 THEN 1 + i % 1200 END, 'Decision ' || i,
       (ARRAY['accepted','accepted','rejected','superseded','proposed'])[1 + i % 5],
       ARRAY[(ARRAY['storage','network','security','cost'])[1 + i % 4], (ARRAY['api','data','people'])[1 + i % 3]],
       current_date - (i % 900)
FROM generate_series(1, 3000) AS i;

INSERT INTO eng.incidents
SELECT i, 1 + (i % 160) * (1 + i % 3) % 160, 1 + i / 3 % 4, 'Incident ' || i, now() - i * interval '80 minutes',
       CASE WHEN i > 12 THEN now() - i * interval '80 minutes' + (20 + i % 300) * interval '1 minute' END
FROM generate_series(1, 6000) AS i;

INSERT INTO eng.deployments
SELECT i, 1 + i % 160, md5(i::text), (ARRAY['production','staging'])[1 + i % 2],
       now() - i * interval '13 minutes' - (30 + i * 7 % 2000) * interval '1 minute',
       now() - i * interval '13 minutes', i % 37 <> 0
FROM generate_series(1, 40000) AS i;

INSERT INTO vh.funds
SELECT i, 'EHG Ventures ' || i, 2012 + i, 20000000 + i * 5000000 FROM generate_series(1, 12) AS i;

INSERT INTO vh.companies
SELECT i, (ARRAY['North','Bright','Clear','Deep','Even'])[1 + i % 5]
            || (ARRAY['wind','field','grid','loop','stack','leaf'])[1 + i / 5 % 6] || ' ' || i,
       'company' || i || '.example', (ARRAY['DE','FR','NL','PT','SE','EE'])[1 + i % 6],
       date '2012-01-01' + i * 8, i % 10 <> 0
FROM generate_series(1, 600) AS i;

INSERT INTO vh.founders
SELECT i, 1 + i % 600, 'Founder ' || i, 'founder' || i || '@company' || (1 + i % 600) || '.example'
FROM generate_series(1, 1500) AS i;

INSERT INTO vh.investments
SELECT i, 1 + i % 12, 1 + i % 600, (ARRAY['pre-seed','seed','A','B'])[1 + i / 600 % 4],
       50000 + i * 317 % 4000000, current_date - (i % 2500)
FROM generate_series(1, 2400) AS i;

INSERT INTO vh.ideas
SELECT i, 'Idea ' || i, (ARRAY['submitted','screened','incubating','rejected']::vh.idea_stage[])[1 + i % 4],
       CASE WHEN i % 4 = 2 THEN 1 + i % 600 END, now() - i * interval '3 hours'
FROM generate_series(1, 5000) AS i;

INSERT INTO vh.ingest_sources
SELECT i, 'source-' || i, i % 10 <> 0 FROM generate_series(1, 20) AS i;

-- One run a minute: fourteen days back, six hours ahead.
INSERT INTO vh.ingest_runs
SELECT i + 20161, 1 + (i + 20160) % 20,
       CASE WHEN i % 41 = 0 THEN 'failed' ELSE 'success' END,
       CASE WHEN i % 41 = 0 THEN 0 ELSE 200 + (i + 20160) * 13 % 900 END,
       CASE WHEN i % 41 = 0 THEN 'source answered 503' END,
       now() + i * interval '1 minute', now() + i * interval '1 minute' + interval '18 seconds'
FROM generate_series(-20160, 360) AS i;

-- Two lines a minute: four days back, six hours ahead. The last error is hours old.
INSERT INTO audit.service_logs (level, timestamp, service, message)
SELECT CASE WHEN i % 997 = 0 AND i < 0 THEN 'ERROR' WHEN i % 53 = 0 THEN 'WARNING' ELSE 'INFO' END,
       now() + i * interval '30 seconds',
       (ARRAY['eng-governance','vh-ingest','vh-portal'])[1 + (i + 11520) % 3],
       CASE WHEN i % 997 = 0 AND i < 0 THEN 'upstream answered 502' WHEN i % 53 = 0 THEN 'slow request' ELSE 'request served' END
FROM generate_series(-11520, 720) AS i;

-- Two hours of answers; p95 is 98 ms.
INSERT INTO audit.request_times (timestamp, service, ms)
SELECT now() - i * interval '2 seconds', 'vh-ingest', 60 + i * 37 % 41
FROM generate_series(1, 3600) AS i;

INSERT INTO audit.change_log (operation, timestamp, table_schema, table_name, row_count, actor)
SELECT (ARRAY['INSERT','UPDATE','UPDATE','DELETE'])[1 + i % 4], now() - i * interval '2 minutes',
       CASE WHEN i % 3 = 0 THEN 'eng' ELSE 'vh' END,
       CASE WHEN i % 3 = 0 THEN 'deployments' ELSE 'ingest_runs' END, 1 + i % 9,
       CASE WHEN i % 3 = 0 THEN 'eng_app' ELSE 'vh_ingest' END
FROM generate_series(1, 12000) AS i;

-- Keys and indexes after the rows: checked once, as a set.
ALTER TABLE eng.engineers        ADD FOREIGN KEY (team_id)       REFERENCES eng.teams;
ALTER TABLE eng.services         ADD FOREIGN KEY (owner_team_id) REFERENCES eng.teams;
ALTER TABLE eng.decision_records ADD FOREIGN KEY (directive_id)  REFERENCES eng.strategic_directives;
ALTER TABLE eng.incidents        ADD FOREIGN KEY (service_id)    REFERENCES eng.services;
ALTER TABLE eng.deployments      ADD FOREIGN KEY (service_id)    REFERENCES eng.services;
ALTER TABLE vh.founders          ADD FOREIGN KEY (company_id)    REFERENCES vh.companies;
ALTER TABLE vh.investments       ADD FOREIGN KEY (fund_id)       REFERENCES vh.funds;
ALTER TABLE vh.investments       ADD FOREIGN KEY (company_id)    REFERENCES vh.companies;
ALTER TABLE vh.ideas             ADD FOREIGN KEY (company_id)    REFERENCES vh.companies;
ALTER TABLE vh.ingest_runs       ADD FOREIGN KEY (source_id)     REFERENCES vh.ingest_sources;

CREATE INDEX service_logs_timestamp_idx ON audit.service_logs (timestamp);
CREATE INDEX change_log_timestamp_idx   ON audit.change_log (timestamp);
CREATE INDEX request_times_timestamp_idx ON audit.request_times (timestamp);

-- From here on the log is written by what people do, not by the load.
SELECT audit.watch('eng.services'), audit.watch('eng.strategic_directives'), audit.watch('vh.companies');

RESET ROLE;
