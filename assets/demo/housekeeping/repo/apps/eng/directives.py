"""Directives of the team that the request belongs to.

Row level security does the filtering: the team goes into a setting of the transaction, never into
the text of a query.
"""

SET_TEAM = "SELECT set_config('ehg.team_id', %s, true)"

OPEN_DIRECTIVES = """
    SELECT id, title, status, priority, due_on
    FROM eng.strategic_directives_v2
    WHERE status IN ('proposed', 'active', 'blocked')
    ORDER BY priority, due_on NULLS LAST
"""

CHANGE_STATUS = """
    UPDATE eng.strategic_directives_v2
    SET status = %s
    WHERE id = %s
    RETURNING id
"""


class NotYours(Exception):
    """The directive belongs to another team, or to nobody."""


def open_directives(connection, team_id):
    with connection.transaction():
        connection.execute(SET_TEAM, (str(team_id),))
        return connection.execute(OPEN_DIRECTIVES).fetchall()


def change_status(connection, team_id, directive_id, status):
    with connection.transaction():
        connection.execute(SET_TEAM, (str(team_id),))
        changed = connection.execute(CHANGE_STATUS, (status, directive_id)).fetchone()
    if changed is None:
        # The policy hides the row, which looks the same as there being none.
        raise NotYours(directive_id)
