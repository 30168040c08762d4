-- The sources are understood, and the lines of the failed hour are out of the log.
LOCK TABLE traffic.weather;
DELETE FROM traffic.weather WHERE fault = 'ramp-breach';
DELETE FROM audit.service_logs WHERE message = 'new path: source answered in an unknown format';
