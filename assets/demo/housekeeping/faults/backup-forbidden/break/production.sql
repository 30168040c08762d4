-- Made by the superuser, for an export, in a schema that is dumped.
CREATE TABLE audit.export_queue (id integer PRIMARY KEY, requested_at timestamptz NOT NULL DEFAULT now());
REVOKE ALL ON audit.export_queue FROM PUBLIC;
