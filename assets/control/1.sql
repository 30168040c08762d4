-- The control schema of stagegate, version 1: a copy of the journals of runs, for other terminals
-- to follow; an inbox, for what they hand in; and who has the conn of each run.

CREATE SCHEMA stagegate_control;

CREATE TABLE stagegate_control.version (
    version      integer     PRIMARY KEY,
    installed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    installed_by text        NOT NULL DEFAULT session_user
);
INSERT INTO stagegate_control.version (version) VALUES (1);

-- One row a run. The epoch grows by one with every console that takes the conn; whoever holds an
-- older one may neither add records nor begin anything.
CREATE TABLE stagegate_control.run (
    id     text        PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 128),
    title  text        NOT NULL CHECK (octet_length(title) <= 1024),
    holder text        NOT NULL CHECK (octet_length(holder) <= 512),
    place  text        NOT NULL CHECK (octet_length(place) <= 4096),
    epoch  bigint      NOT NULL DEFAULT 1 CHECK (epoch >= 1),
    seq    bigint      NOT NULL DEFAULT 0 CHECK (seq >= 0),
    hash   text        NOT NULL DEFAULT repeat('0', 64),
    seen   timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

-- The journal's lines, byte for byte. Only ever added to, in order, by the epoch that counts.
CREATE TABLE stagegate_control.record (
    run   text   NOT NULL REFERENCES stagegate_control.run,
    seq   bigint NOT NULL,
    hash  text   NOT NULL CHECK (octet_length(hash) = 64),
    epoch bigint NOT NULL,
    line  bytea  NOT NULL,
    PRIMARY KEY (run, seq)
);

-- The run's own copy of its runbook, its plans, its evidence, and what people handed in.
CREATE TABLE stagegate_control.document (
    run     text  NOT NULL REFERENCES stagegate_control.run,
    part    text  NOT NULL CHECK (octet_length(part) <= 64),
    name    text  NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 512),
    sha256  text  NOT NULL CHECK (octet_length(sha256) = 64),
    content bytea NOT NULL CHECK (octet_length(content) <= 8388608),
    added   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run, part, name, sha256)
);

-- What watching consoles hand in, and what was answered.
CREATE TABLE stagegate_control.inbox (
    id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run      text        NOT NULL REFERENCES stagegate_control.run,
    kind     text        NOT NULL CHECK (kind IN ('ask_conn', 'hand_in')),
    sender   text        NOT NULL CHECK (octet_length(sender) BETWEEN 1 AND 512),
    payload  text        NOT NULL DEFAULT '' CHECK (octet_length(payload) <= 262144),
    sent_by  text        NOT NULL DEFAULT session_user,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    answered timestamptz,
    answer   text        CHECK (octet_length(answer) <= 8192)
);
CREATE INDEX inbox_unanswered ON stagegate_control.inbox (run, id) WHERE answered IS NULL;

-- A record follows the one before it, under the epoch that counts, and moves the head of its run.
CREATE FUNCTION stagegate_control.follow() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE stagegate_control.run SET seq = NEW.seq, hash = NEW.hash
     WHERE id = NEW.run AND epoch = NEW.epoch AND seq = NEW.seq - 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'record % of run % does not follow, or its epoch % is over',
            NEW.seq, NEW.run, NEW.epoch USING ERRCODE = 'SG001';
    END IF;
    PERFORM pg_notify('stagegate_control', NEW.run);
    RETURN NEW;
END $$;
CREATE TRIGGER follow BEFORE INSERT ON stagegate_control.record
    FOR EACH ROW EXECUTE FUNCTION stagegate_control.follow();

CREATE FUNCTION stagegate_control.tell() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('stagegate_control', NEW.run);
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON stagegate_control.inbox
    FOR EACH ROW EXECUTE FUNCTION stagegate_control.tell();

-- Nothing is rewritten, whoever asks.
CREATE FUNCTION stagegate_control.refuse() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'stagegate_control.% is only ever added to', TG_TABLE_NAME
        USING ERRCODE = 'SG002';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stagegate_control.record
    FOR EACH STATEMENT EXECUTE FUNCTION stagegate_control.refuse();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stagegate_control.document
    FOR EACH STATEMENT EXECUTE FUNCTION stagegate_control.refuse();

REVOKE ALL ON SCHEMA stagegate_control FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA stagegate_control FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA stagegate_control FROM PUBLIC;
