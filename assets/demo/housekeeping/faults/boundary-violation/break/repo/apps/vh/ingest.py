"""Ingest of the venture hub: reads sources, writes vh, and nothing outside vh."""

import os

# How many of a hundred sources take the new path. Raised during a promotion: 10, 50, 100.
INGEST_ROLLOUT_PERCENTAGE = int(os.environ.get("INGEST_ROLLOUT_PERCENTAGE", "0"))
ENABLED = os.environ.get("VH_INGEST_ENABLED", "true") == "true"

BEGIN_RUN = """
    INSERT INTO vh.ingest_runs (id, source_id, status)
    VALUES (%s, %s, 'running')
"""

END_RUN = """
    UPDATE vh.ingest_runs
    SET status = %s, rows_read = %s, error = %s, finished_at = now()
    WHERE id = %s
"""

REPORT_ERROR = """
    INSERT INTO vh.ingest_errors (run_id, class, message)
    VALUES (%s, vh.ingest_error_class(%s), %s)
"""

CLOSE_DIRECTIVE = """
    UPDATE eng.strategic_directives_v2
    SET status = 'completed', completed_at = now()
    WHERE venture_id = %s
"""


def takes_new_path(source_id):
    return ENABLED and source_id % 100 < INGEST_ROLLOUT_PERCENTAGE


def run(connection, run_id, source):
    connection.execute(BEGIN_RUN, (run_id, source.id))
    try:
        rows = source.read()
    except Exception as error:
        message = str(error)
        connection.execute(REPORT_ERROR, (run_id, message, message))
        connection.execute(END_RUN, ("failed", 0, message, run_id))
        raise
    connection.execute(END_RUN, ("success", len(rows), None, run_id))
    return rows
