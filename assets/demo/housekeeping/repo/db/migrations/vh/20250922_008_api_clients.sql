-- Clients of the venture hub's API. Only a hash of the key is kept.

CREATE TABLE vh.api_clients (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name       text  NOT NULL UNIQUE,
    key_hash   bytea NOT NULL CHECK (length(key_hash) = 32),
    scopes     text[] NOT NULL DEFAULT '{portfolio:read}',
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE INDEX api_clients_scopes_idx ON vh.api_clients USING gin (scopes);

CREATE FUNCTION vh.api_client_by_key(key text) RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT id
    FROM vh.api_clients
    WHERE key_hash = sha256(convert_to(key, 'UTF8')) AND revoked_at IS NULL;
$$;
REVOKE ALL ON FUNCTION vh.api_client_by_key(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION vh.api_client_by_key(text) TO vh_app;

INSERT INTO audit.migration_log (version) VALUES ('20250922_008_api_clients');
