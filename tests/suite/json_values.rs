//! Values of every built-in type go into a JSON backup and come back as they were.

use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use stagegate::postgres::Session;
use stagegate::postgres::cluster::Cluster;
use stagegate::postgres::json_target::Conflict;
use tempfile::TempDir;

use crate::json_dump::dump;
use crate::json_restore::restore;
use crate::server::{cluster, info, open, run};

const OWN_TYPES: &str = "
CREATE TYPE mood AS ENUM ('well', 'so, \"so\"', 'it''s \\bad');
CREATE DOMAIN percent AS numeric(5, 2) CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN flag AS boolean;
CREATE TYPE pair AS (a text, \"B b\" int[], c mood);
CREATE TYPE nested AS (p pair, q jsonb);
CREATE TYPE span AS RANGE (subtype = float8);
";

/// Types, with values that have made trouble somewhere.
const TYPES: &[(&str, &[&str])] = &[
    ("boolean", &["t", "f"]),
    ("smallint", &["-32768", "32767", "0"]),
    ("integer", &["-2147483648", "2147483647"]),
    (
        "bigint",
        &[
            "-9223372036854775808",
            "9223372036854775807",
            "9007199254740993",
        ],
    ),
    ("oid", &["0", "4294967295"]),
    (
        "real",
        &[
            "NaN",
            "-Infinity",
            "Infinity",
            "-0",
            "1e-45",
            "3.4028235e38",
            "0.1",
            "16777217",
        ],
    ),
    (
        "double precision",
        &[
            "NaN",
            "-Infinity",
            "-0",
            "5e-324",
            "1.7976931348623157e308",
            "0.30000000000000004",
            "1e-05",
            "123456789012345680000",
        ],
    ),
    (
        "numeric",
        &[
            "NaN",
            "Infinity",
            "-Infinity",
            "0.00",
            "-0.10",
            "1e-16383",
            "12345678901234567890.123456789012345678901234567890",
            "1e1000",
        ],
    ),
    ("numeric(12,-2)", &["123456", "-50"]),
    ("percent", &["0", "99.99", "100"]),
    ("flag", &["t", "f"]),
    (
        "money",
        &["-92233720368547758.08", "92233720368547758.07", "0.01"],
    ),
    (
        "text",
        &[
            "",
            "\\N",
            "\\.",
            "NULL",
            "null",
            "\"",
            "\\",
            "\\\\n",
            "a\tb\nc\rd\u{b}e\u{8}f\u{c}",
            "\u{1}\u{1f}\u{7f}\u{80}\u{9b}",
            "\u{2028}\u{feff}😀e\u{301}",
            "},\n{",
            "\\u0041",
            "{\"a\":1}",
        ],
    ),
    ("varchar(20)", &["", "  x  ", "\\"]),
    ("char(5)", &["", "a", "a \t"]),
    ("\"char\"", &["", "a", "\\200", "\\377", "\\", "\t"]),
    ("name", &["", "a\"b", "öäü"]),
    (
        "bytea",
        &["\\x", "\\x00", "\\x000102fffe5c4e0a", "\\x27225c"],
    ),
    (
        "json",
        &[
            "null",
            "{\"a\":1,\"a\":2, \"b\" : 1.0e0}",
            "\"\\u0041\\n\"",
            "[ 1 , 12345678901234567890.10 ]",
            "{\n\t\"x\": \"\\\\N\"}",
        ],
    ),
    (
        "jsonb",
        &[
            "null",
            "{\"a\":1,\"a\":2}",
            "\"\\u0041\\n\\\\\"",
            "1e400",
            "-0.0",
            "12345678901234567890.10",
        ],
    ),
    (
        "date",
        &[
            "infinity",
            "-infinity",
            "4713-01-01 BC",
            "5874897-12-31",
            "2024-02-29",
        ],
    ),
    ("time", &["00:00:00", "24:00:00", "23:59:59.999999"]),
    ("time(0)", &["12:34:56"]),
    (
        "timetz",
        &[
            "00:00:00+15:59",
            "24:00:00-15:59",
            "12:00:00.000001+05:30:15",
        ],
    ),
    (
        "timestamp",
        &[
            "infinity",
            "-infinity",
            "4713-01-01 00:00:00 BC",
            "294276-12-31 23:59:59.999999",
        ],
    ),
    (
        "timestamptz",
        &[
            "infinity",
            "-infinity",
            "4713-01-01 00:00:00+00 BC",
            "2024-03-31 01:30:00+00",
            "1883-11-18 12:03:57.000001+00",
        ],
    ),
    (
        "interval",
        &[
            "-178000000 years",
            "1 mon -1 day 00:00:00.000001",
            "-1 mon +1 day -00:00:01",
            "0",
            "-00:00:00.5",
        ],
    ),
    (
        "uuid",
        &[
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
        ],
    ),
    ("inet", &["::", "10.0.0.1/8", "fe80::1/64", "0.0.0.0/0"]),
    ("cidr", &["10.0.0.0/8", "::/0", "192.168.1.1/32"]),
    ("macaddr", &["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"]),
    (
        "macaddr8",
        &["00:00:00:00:00:00:00:00", "08:00:2b:01:02:03:04:05"],
    ),
    ("bit(3)", &["000", "101"]),
    ("varbit", &["", "1", "1010101010101010101"]),
    ("tsvector", &["", "'a b':1A 'it''s':2,3B '\\\\x'"]),
    ("tsquery", &["", "'a b' & !( 'c':*AB <2> 'it''s' )"]),
    (
        "xml",
        &[
            "",
            "<a b=\"1\">x&amp;y</a>",
            "text <b/> more",
            "<?xml version=\"1.0\"?><r>ü</r>",
        ],
    ),
    ("point", &["(1e300,-0)", "(NaN,Infinity)"]),
    ("line", &["{1,2,3}"]),
    ("lseg", &["[(0,0),(1,1)]"]),
    ("box", &["(1,1),(0,0)"]),
    ("path", &["[(0,0),(1,1)]", "((0,0),(0.1,1),(2,0))"]),
    ("polygon", &["((0,0),(0,1),(1,0))"]),
    ("circle", &["<(0.1,0),1e-10>"]),
    ("pg_lsn", &["0/0", "FFFFFFFF/FFFFFFFF"]),
    ("xid8", &["18446744073709551615"]),
    ("txid_snapshot", &["10:20:10,14,15"]),
    ("tid", &["(4294967295,65535)"]),
    ("regclass", &["pg_class", "-"]),
    ("regtype", &["mood", "\"char\""]),
    ("jsonpath", &["$.a[*] ? (@.\"b c\" > 1)"]),
    ("int4range", &["empty", "(,)", "[1,5)", "(,3)"]),
    ("numrange", &["[NaN,NaN]", "(-Infinity,0.10]"]),
    (
        "tstzrange",
        &["[-infinity,infinity]", "(\"2024-01-01 00:00:00+00\",)"],
    ),
    ("span", &["[-0,0.30000000000000004)", "empty"]),
    ("int4multirange", &["{}", "{[1,3),[5,7)}"]),
    ("datemultirange", &["{(,2024-01-01),[2024-02-01,infinity)}"]),
    ("mood", &["well", "so, \"so\"", "it's \\bad"]),
    (
        "pair",
        &[
            "(,,)",
            "(\"a \"\"b\"\" \\\\ ,\",\"{1,NULL}\",\"so, \"\"so\"\"\")",
            "(\"\",{},well)",
        ],
    ),
    ("nested", &["(\"(x,,)\",null)", "(,\"{\"\"a\"\": null}\")"]),
    (
        "integer[]",
        &[
            "{}",
            "{NULL,1}",
            "[0:1]={7,8}",
            "[-2:-1][3:3]={{1},{2}}",
            "{{{1,2},{3,4}}}",
        ],
    ),
    (
        "text[]",
        &[
            "{NULL,\"NULL\",\"\",\"a,b\",\"q\\\"q\",\"b\\\\s\",\"{}\",\" \"}",
            "[5:5]={\"\t\n\"}",
        ],
    ),
    ("bigint[]", &["{9223372036854775807,NULL}"]),
    (
        "double precision[]",
        &["{NaN,-0,Infinity,0.30000000000000004}"],
    ),
    ("bytea[]", &["{\"\\\\x00ff\",NULL}"]),
    (
        "jsonb[]",
        &["{\"null\",NULL,\"{\\\"a\\\": \\\"b\\\\\\\\c\\\"}\"}"],
    ),
    ("pair[]", &["{\"(\\\"a,b\\\",\\\"{1}\\\",well)\",NULL}"]),
    ("mood[]", &["{well,\"so, \\\"so\\\"\"}"]),
    ("timestamptz[]", &["{infinity,\"2024-01-01 00:00:00+00\"}"]),
    ("int4range[]", &["{empty,\"[1,2)\"}"]),
    ("money[]", &["{1.00,NULL}"]),
    ("xml[]", &["{<a/>,NULL}"]),
];

struct World {
    cluster: Cluster,
    home: TempDir,
    source: Session,
    target: Session,
    cases: usize,
}

impl World {
    async fn new() -> World {
        let cluster = cluster();
        let admin = open(&info(&cluster)).await;
        run(&admin, "CREATE DATABASE target").await;
        // What the databases say of their own must not change a value.
        for sql in [
            "ALTER DATABASE postgres SET TimeZone = 'Asia/Kathmandu'",
            "ALTER DATABASE postgres SET extra_float_digits = -5",
            "ALTER DATABASE target SET TimeZone = 'America/New_York'",
            "ALTER DATABASE target SET array_nulls = off",
            "ALTER DATABASE target SET xmloption = document",
            "ALTER DATABASE target SET quote_all_identifiers = on",
        ] {
            run(&admin, sql).await;
        }
        let source = open(&info(&cluster)).await;
        let target = open(&info(&cluster).with_database("target")).await;
        for session in [&source, &target] {
            run(session, OWN_TYPES).await;
            run(
                session,
                "SET TimeZone = 'UTC'; SET extra_float_digits = 3; SET xmloption = content; \
                 SET quote_all_identifiers = off; SET array_nulls = on",
            )
            .await;
        }
        World {
            cluster,
            home: tempfile::tempdir().unwrap(),
            source,
            target,
            cases: 0,
        }
    }

    /// Backs those tables up, restores them, and compares the rows as the two servers write them.
    async fn there_and_back(&mut self, tables: &[Case]) -> PathBuf {
        self.cases += 1;
        for (n, table) in tables.iter().enumerate() {
            let name = format!("t{n}");
            for session in [&self.source, &self.target] {
                run(session, &table.definition(&name)).await;
            }
            run(&self.source, &table.rows_of(&name)).await;
        }
        let folder = self.home.path().join(self.cases.to_string());
        let (backup, manifest) = dump(&info(&self.cluster), &folder, &[]).await.unwrap();
        stagegate::postgres::json_restore::verify(&backup, |_| {}).unwrap();
        for table in &manifest.tables {
            let text = std::fs::read(backup.join(&table.file)).unwrap();
            let read: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap();
            assert_eq!(read.len() as u64, table.rows);
        }
        let info = info(&self.cluster).with_database("target");
        restore(&info, &backup, Conflict::Refuse).await.unwrap();
        for n in 0..tables.len() {
            let sql = format!("SELECT t.* FROM t{n} t ORDER BY t::text COLLATE \"C\"");
            let [there, here] = [
                self.source.rows(&sql).await.unwrap(),
                self.target.rows(&sql).await.unwrap(),
            ];
            assert_eq!(there, here);
            for session in [&self.source, &self.target] {
                run(session, &format!("DROP TABLE t{n}")).await;
            }
        }
        backup
    }
}

/// A table: types by their place in the list, and rows of texts.
#[derive(Debug, Clone)]
struct Case {
    columns: Vec<usize>,
    rows: Vec<Vec<Option<String>>>,
}

impl Case {
    fn definition(&self, name: &str) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(n, kind)| format!("\"c {n}\" {}", TYPES[*kind].0))
            .collect();
        format!("CREATE TABLE {name} ({})", columns.join(", "))
    }

    fn rows_of(&self, name: &str) -> String {
        let literal = |(text, kind): (&Option<String>, &usize)| match text {
            None => "NULL".to_owned(),
            Some(text) => {
                let text = text.replace('\'', "''");
                format!("'{text}'::{}", TYPES[*kind].0)
            }
        };
        let rows: Vec<String> = self
            .rows
            .iter()
            .map(|row| {
                let values: Vec<String> = row.iter().zip(&self.columns).map(literal).collect();
                match values.is_empty() {
                    true => format!("INSERT INTO {name} DEFAULT VALUES"),
                    false => format!("INSERT INTO {name} VALUES ({})", values.join(", ")),
                }
            })
            .collect();
        rows.join("; ")
    }
}

/// Text that the type takes: one of the list, or any where any is taken.
fn value(kind: usize) -> BoxedStrategy<Option<String>> {
    let (name, listed) = TYPES[kind];
    let listed = select(listed).prop_map(str::to_owned);
    let any = match name {
        "text" => "[^\0]{0,40}".boxed(),
        "bigint" => any::<i64>().prop_map(|n| n.to_string()).boxed(),
        "integer" => any::<i32>().prop_map(|n| n.to_string()).boxed(),
        "double precision" => any::<f64>().prop_map(|n| n.to_string()).boxed(),
        "real" => any::<f32>().prop_map(|n| n.to_string()).boxed(),
        "numeric" => "-?[0-9]{1,60}(\\.[0-9]{1,60})?".boxed(),
        "bytea" => "\\\\x([0-9a-f]{2}){0,40}".boxed(),
        "json" | "jsonb" => "[^\0]{0,20}"
            .prop_map(|text| serde_json::Value::String(text).to_string())
            .boxed(),
        "uuid" => "[0-9a-f]{32}".boxed(),
        "timestamptz" | "timestamp" => (-4000_i64..4000, 0_i64..86_400_000_000)
            .prop_map(|(day, us)| {
                let moment = jiff::Timestamp::from_microsecond(day * 86_400_000_000 + us);
                moment.unwrap().to_string()
            })
            .boxed(),
        "interval" => (any::<i16>(), any::<i16>(), any::<i32>())
            .prop_map(|(m, d, us)| format!("{m} mons {d} days {us} us"))
            .boxed(),
        "varbit" => "[01]{0,70}".boxed(),
        _ => listed.clone().boxed(),
    };
    prop_oneof![1 => Just(None), 3 => listed.prop_map(Some), 4 => any.prop_map(Some)].boxed()
}

fn case() -> impl Strategy<Value = Case> {
    prop::collection::vec(any::<Index>(), 0..9).prop_flat_map(|columns| {
        let columns: Vec<usize> = columns.iter().map(|i| i.index(TYPES.len())).collect();
        let row: Vec<_> = columns.iter().map(|kind| value(*kind)).collect();
        prop::collection::vec(row, 0..9).prop_map(move |rows| Case {
            columns: columns.clone(),
            rows,
        })
    })
}

#[test]
fn tables_of_any_types_come_back_as_they_were() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(World::new());
    let world = std::cell::RefCell::new(world);
    let config = Config {
        cases: 32,
        failure_persistence: None,
        max_shrink_iters: 60,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&prop::collection::vec(case(), 1..4), |tables| {
            runtime.block_on(world.borrow_mut().there_and_back(&tables));
            Ok(())
        })
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_listed_value_of_every_type_comes_back() {
    let mut world = World::new().await;
    let tables: Vec<Case> = (0..TYPES.len())
        .map(|kind| {
            let listed = TYPES[kind]
                .1
                .iter()
                .map(|text| vec![Some((*text).to_owned())]);
            Case {
                columns: vec![kind],
                rows: listed.chain([vec![None]]).collect(),
            }
        })
        .collect();
    let backup = world.there_and_back(&tables).await;
    let place = TYPES.iter().position(|(name, _)| *name == "jsonb").unwrap();
    let text = std::fs::read_to_string(backup.join(format!("public.t{place}.json"))).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(rows[0]["c 0"], "null");
    assert_eq!(rows.last().unwrap()["c 0"], serde_json::Value::Null);
}
