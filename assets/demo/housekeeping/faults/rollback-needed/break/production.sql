-- The portal wrote into engineering while it was being promoted, by a path that no grant shows.
INSERT INTO audit.change_log (operation, table_schema, table_name, row_count, actor)
VALUES ('UPDATE', 'eng', 'services', 3, 'vh_app');
