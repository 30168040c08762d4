GRANT SELECT ON audit.export_queue TO deploy;
