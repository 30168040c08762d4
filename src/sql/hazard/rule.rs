//! The rules: what each finds, how it is called, and what to do instead.

use super::{HazardClass, HazardKind};
use HazardClass::{CannotTell, DataLoss, HostLevel, Lock, Rewrite};
use HazardKind::{
    AcquiresAccessExclusiveLock, AcquiresShareLock, AcquiresShareRowExclusiveLock, AuthzUpdate,
    Correctness, DeletesData, HasUntrackableDependencies, ReachesHost, RewritesTable,
};

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub code: &'static str,
    pub class: HazardClass,
    pub kind: HazardKind,
    pub message: &'static str,
    pub instead: &'static str,
}

macro_rules! rules {
    ($($name:ident $code:literal $class:ident $kind:ident $message:literal $instead:literal)*) => {
        $(pub(super) const $name: Rule = Rule {
            code: $code,
            class: $class,
            kind: $kind,
            message: $message,
            instead: $instead,
        };)*

        /// Every rule, in the order in which they are listed to people.
        pub(crate) const ALL: &[Rule] = &[$($name),*];
    };
}

rules! {
    DROP_SCHEMA "DS101" DataLoss DeletesData
        "drops a schema and everything in it"
        "drop what is in it one by one, each with a check that it is empty"
    DROP_TABLE "DS102" DataLoss DeletesData
        "drops a table with its rows"
        "rename it first and drop it when nobody has missed it, or prove with a predicate that it is empty"
    DROP_COLUMN "DS103" DataLoss DeletesData
        "drops a column with its values"
        "stop writing it first; prove with a predicate that no row needs it"
    DROP_MATVIEW "drop-materialized-view" DataLoss DeletesData
        "drops the stored rows of a materialized view"
        "prove that its query can make the rows again"
    DROP_SEQUENCE "drop-sequence" DataLoss DeletesData
        "drops a sequence with the number it is at"
        "note its value first, or leave it"
    DROP_DATABASE "ban-drop-database" DataLoss DeletesData
        "drops a whole database"
        "leave that to a person, outside of any file"
    DROP_OWNED "drop-owned" DataLoss DeletesData
        "drops everything that a role owns in this database"
        "REASSIGN OWNED first, and look at what is left"
    DROP_ATTRIBUTE "drop-attribute" DataLoss DeletesData
        "drops a part of a composite type with its values"
        "make a new type beside it"
    DROP_CASCADE "drop-cascade" DataLoss DeletesData
        "CASCADE drops whatever depends on it, named nowhere in the file"
        "drop the objects that depend on it by name, without CASCADE"
    TRUNCATE "truncate" DataLoss DeletesData
        "removes every row of a table"
        "prove with a predicate that the table is empty, or delete by a condition"
    TRUNCATE_CASCADE "ban-truncate-cascade" DataLoss DeletesData
        "removes every row of a table and of every table that refers to it"
        "name every table, without CASCADE"
    DELETE_ALL "delete-without-where" DataLoss DeletesData
        "deletes every row of a table"
        "say which rows with WHERE"
    UPDATE_ALL "update-without-where" DataLoss DeletesData
        "writes over every row of a table"
        "say which rows with WHERE"
    MERGE_DELETE "merge-deletes-unmatched" DataLoss DeletesData
        "deletes every row that has no match in the source; an empty source deletes all of them"
        "give the WHEN clause a condition"
    LOSSY_TYPE "lossy-type-change" DataLoss DeletesData
        "the new type may hold less than the old one: values are rounded, cut off or refused"
        "add a column of the new type, fill it, compare, then switch"
    UNREADABLE_DESTRUCTIVE "unreadable-destructive" DataLoss DeletesData
        "begins like a statement that removes data, and could not be read to its end"
        "write it so that it can be read"

    PLAN_DROPS "plan-says-drop" DataLoss DeletesData
        "says that something that holds data is dropped"
        "cancel it where it is shown, and make the change by a migration of your own"
    PLAN_DELETES "plan-says-delete" DataLoss DeletesData
        "says that rows are removed"
        "cancel it where it is shown, and make the change by a migration of your own"
    PLAN_RESETS "plan-says-reset" DataLoss DeletesData
        "says that a schema or a database is made anew"
        "cancel it where it is shown; look at why it takes the database for another one"
    PLAN_WARNS "plan-warns-of-loss" DataLoss DeletesData
        "warns that something is lost"
        "cancel it where it is shown, and find out what would be lost"
    PLAN_MENTIONS "plan-mentions-loss" CannotTell HasUntrackableDependencies
        "speaks of a loss in a comment or a string, or says that there is none"
        "read it; nothing here can tell whether it happens"

    COPY_PROGRAM "copy-program" HostLevel ReachesHost
        "runs a program on the database server's own host"
        "use COPY … FROM stdin with the data in the file"
    COPY_FILE "copy-server-file" HostLevel ReachesHost
        "reads or writes a file on the database server's own host"
        "use COPY … FROM stdin with the data in the file"
    ALTER_SYSTEM "alter-system" HostLevel ReachesHost
        "changes the settings of the whole server"
        "set it for a database or a role, or leave it to whoever runs the server"
    UNTRUSTED_LANGUAGE "untrusted-language" HostLevel ReachesHost
        "code in this language may do whatever the server's user may"
        "write it in SQL or PL/pgSQL"
    UNTRUSTED_EXTENSION "untrusted-extension" HostLevel ReachesHost
        "this extension gives access to the server's files, programs or network"
        "have whoever runs the server install it"
    LOAD "load-library" HostLevel ReachesHost
        "loads a library into the server"
        "have whoever runs the server install it"
    SUPERUSER "superuser" HostLevel AuthzUpdate
        "gives a role rights that no grant can limit: SUPERUSER, BYPASSRLS, REPLICATION or CREATEROLE"
        "grant the rights that the role needs, by name"
    HOST_ROLE "grant-host-role" HostLevel AuthzUpdate
        "lets a role read files, write files or run programs on the server's host"
        "leave that to whoever runs the server"
    HOST_FUNCTION "host-function" HostLevel ReachesHost
        "calls a function that reads or writes the server's files, or speaks to another server"
        "bring the data in with COPY … FROM stdin"
    PSQL_HOST "psql-host-command" HostLevel ReachesHost
        "a command of psql that runs programs or touches files where psql runs"
        "take it out"

    SECURITY_DEFINER "security-definer" CannotTell AuthzUpdate
        "runs with its owner's rights and without a search_path of its own"
        "add SET search_path = pg_catalog, … to the function"
    DYNAMIC "dynamic-sql" CannotTell HasUntrackableDependencies
        "puts SQL together when it runs; the text does not say what it will do"
        "write the statement out, or look at what the rehearsal saw"
    OPAQUE "foreign-language" CannotTell HasUntrackableDependencies
        "the body is in a language that is not read here"
        "look at what the rehearsal saw"
    UNREADABLE "unreadable" CannotTell HasUntrackableDependencies
        "could not be read to its end as PostgreSQL's SQL"
        "correct it; if the server takes it, look at what the rehearsal saw"
    PSQL "psql-command" CannotTell HasUntrackableDependencies
        "a command of psql, not SQL; nothing here runs it"
        "take it out, or write what it does as SQL"

    ALTER_TABLE "alter-table" Lock AcquiresAccessExclusiveLock
        "stops reads and writes of the table for a moment"
        "keep lock_timeout short, so that nobody queues behind it"
    DROP_CONSTRAINT "drop-constraint" Lock AcquiresAccessExclusiveLock
        "stops reads and writes of the table, and of a referenced one, for a moment"
        "keep lock_timeout short"
    SET_NOT_NULL "MF104" Lock AcquiresAccessExclusiveLock
        "reads the whole table while nobody else may"
        "add CHECK (… IS NOT NULL) NOT VALID, validate it in another transaction, then SET NOT NULL"
    ADD_FOREIGN_KEY "PG306" Lock AcquiresShareRowExclusiveLock
        "checks every row while neither table can be written"
        "add it NOT VALID, then VALIDATE CONSTRAINT in another transaction"
    ADD_CHECK "PG305" Lock AcquiresAccessExclusiveLock
        "checks every row while nobody else may read or write the table"
        "add it NOT VALID, then VALIDATE CONSTRAINT in another transaction"
    ADD_PRIMARY_KEY "PG104" Lock AcquiresAccessExclusiveLock
        "builds an index while nobody else may read or write the table"
        "build a unique index CONCURRENTLY first, then ADD PRIMARY KEY USING INDEX"
    ADD_UNIQUE "PG105" Lock AcquiresAccessExclusiveLock
        "builds an index while nobody else may read or write the table"
        "build a unique index CONCURRENTLY first, then ADD CONSTRAINT … UNIQUE USING INDEX"
    ADD_EXCLUDE "add-exclusion-constraint" Lock AcquiresAccessExclusiveLock
        "builds an index while nobody else may read or write the table"
        "there is no way without the lock; do it while the table is small or the window is long"
    CREATE_INDEX "PG101" Lock AcquiresShareLock
        "builds an index while the table cannot be written"
        "CREATE INDEX CONCURRENTLY, outside of a transaction"
    DROP_INDEX "PG102" Lock AcquiresAccessExclusiveLock
        "stops reads and writes of the table for a moment"
        "DROP INDEX CONCURRENTLY, outside of a transaction"
    REINDEX "require-concurrent-reindex" Lock AcquiresAccessExclusiveLock
        "builds indexes anew while the table cannot be written"
        "REINDEX … CONCURRENTLY, outside of a transaction"
    DETACH "require-concurrent-partition-detach" Lock AcquiresAccessExclusiveLock
        "stops reads and writes of the whole partitioned table for a moment"
        "DETACH PARTITION … CONCURRENTLY, outside of a transaction"
    CREATE_TRIGGER "create-trigger" Lock AcquiresShareRowExclusiveLock
        "the table cannot be written for a moment"
        "keep lock_timeout short"
    ROW_SECURITY "row-level-security" Lock AcquiresAccessExclusiveLock
        "stops reads and writes of the table for a moment"
        "keep lock_timeout short"
    DROP_RELATION "drop-object" Lock AcquiresAccessExclusiveLock
        "stops everybody who uses the object"
        "keep lock_timeout short, and make sure that nobody uses it any more"
    REFRESH "refresh-materialized-view" Lock AcquiresAccessExclusiveLock
        "nobody may read the view while it is computed"
        "REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index"
    EXPLICIT_LOCK "lock-table" Lock AcquiresAccessExclusiveLock
        "takes a lock by name and keeps it until the transaction ends"
        "leave it out, or keep the transaction short"
    LOCK_SEEN "held-lock" Lock AcquiresAccessExclusiveLock
        "stopped everybody who uses the table when it was rehearsed, for"
        "do less under the lock: NOT VALID first, CONCURRENTLY, or batches"
    RENAME "rename" Lock AcquiresAccessExclusiveLock
        "whatever uses the old name fails from then on"
        "add the new name beside the old one first"
    REQUIRED_COLUMN "adding-required-field" Lock Correctness
        "a NOT NULL column without a default cannot be added to a table that has rows"
        "give it a default, or add it without NOT NULL, fill it, then set NOT NULL"

    TYPE_CHANGE "PG301" Rewrite RewritesTable
        "most type changes write the whole table and its indexes anew, under a lock that stops everybody"
        "add a column of the new type, fill it in batches, then switch"
    VOLATILE_DEFAULT "PG302" Rewrite RewritesTable
        "a default that differs from row to row writes the whole table anew"
        "add the column without a default, set the default, fill old rows in batches"
    SERIAL_COLUMN "adding-serial-field" Rewrite RewritesTable
        "a serial or identity column writes the whole table anew to number its rows"
        "add a nullable column, number the rows in batches, then make it the identity"
    GENERATED_COLUMN "adding-generated-field" Rewrite RewritesTable
        "a stored generated column writes the whole table anew"
        "add a plain column and fill it with a trigger and in batches"
    REWRITE_SEEN "rewrites-table" Rewrite RewritesTable
        "wrote the whole table anew when it was rehearsed"
        "fill it in batches, or do it in a window that is long enough"
    CLUSTER "cluster" Rewrite RewritesTable
        "writes the whole table anew while nobody else may read or write it"
        "use a tool that repacks without the lock"
    VACUUM_FULL "vacuum-full" Rewrite RewritesTable
        "writes the whole table anew while nobody else may read or write it"
        "plain VACUUM, or a tool that repacks without the lock"
    SET_TABLESPACE "set-tablespace" Rewrite RewritesTable
        "copies the whole table or index while nobody else may use it"
        "do it in a window that is long enough for the copy"
    SET_LOGGED "set-logged" Rewrite RewritesTable
        "writes the whole table anew, all of it into the log"
        "do it while the table is small"
    SET_UNLOGGED "set-unlogged" Rewrite RewritesTable
        "writes the whole table anew; its rows are lost at a crash and are on no standby"
        "leave the table logged"
    ACCESS_METHOD "set-access-method" Rewrite RewritesTable
        "writes the whole table anew"
        "do it while the table is small"
}
