-- Undoes 20250922_008_api_clients.

-- Clients made since lose their keys; they must be issued anew.
DROP FUNCTION vh.api_client_by_key(text);
DROP TABLE vh.api_clients;

DELETE FROM audit.migration_log WHERE version = '20250922_008_api_clients';
