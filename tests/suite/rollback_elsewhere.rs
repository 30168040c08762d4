//! Going back while the address leads elsewhere, or nowhere, in the middle of it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::postgres::swap::{self, SwapNames};
use stagegate::postgres::{fresh_database, identity};
use stagegate::promotion::GateState;

use crate::rollback::Bench;
use crate::server::{info, open, run};
use crate::site::Site;

/// What a relay does from now on.
#[derive(Clone, Default)]
pub(crate) struct Orders {
    /// Sessions in the database `postgres` go to the server at this port.
    pub(crate) elsewhere: Option<u16>,
    /// The session that sends this text is cut before the server hears of it.
    cut_at: Option<&'static str>,
}

/// A relay to the server at `port`; returns its own port.
pub(crate) fn relay(port: u16, orders: Arc<Mutex<Orders>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, orders) = (client.unwrap(), orders.clone());
            std::thread::spawn(move || carry(client, port, &orders));
        }
    });
    own
}

fn holds(buffer: &[u8], text: &str) -> bool {
    buffer.windows(text.len()).any(|w| w == text.as_bytes())
}

fn carry(mut client: TcpStream, port: u16, orders: &Mutex<Orders>) {
    let mut buffer = [0; 16 * 1024];
    // The first message names the database.
    let Ok(read) = client.read(&mut buffer) else {
        return;
    };
    let moved = orders.lock().unwrap().elsewhere;
    let port = match moved {
        Some(elsewhere) if holds(&buffer[..read], "database\0postgres\0") => elsewhere,
        _ => port,
    };
    let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    server.write_all(&buffer[..read]).unwrap();
    let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
    while let Ok(read) = client.read(&mut buffer) {
        let cut = orders.lock().unwrap().cut_at;
        let cut = cut.is_some_and(|text| holds(&buffer[..read], text));
        if cut || read == 0 || server.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
}

pub(crate) fn tcp() -> Cluster {
    let options = ClusterOptions {
        listen_tcp: true,
        ..ClusterOptions::default()
    };
    Cluster::start(&options).unwrap()
}

/// A run whose target is reached through a relay, and that has gone as far as the way back.
fn through_a_relay(restore: &str) -> (Bench, Arc<Mutex<Orders>>) {
    let site = Site::on(tcp());
    site.sql("CREATE DATABASE shop");
    let orders = Arc::new(Mutex::new(Orders::default()));
    let port = relay(site.cluster.port(), orders.clone());
    let url = format!("postgresql://postgres@127.0.0.1:{port}/shop?sslmode=disable");
    let back = format!(
        "[[rollback]]\nid = \"back\"\ntitle = \"Back\"\nscope = \"immediate\"\n\
         valid_from = \"migrations\"\nexpect_duration = \"5m\"\n[[rollback.gate]]\n\
         id = \"restore\"\ntitle = \"Restore\"\n\
         restore = {{ target = \"db\", backup = \"dump\", {restore} }}\n"
    );
    let bench = Bench::at(site, &back, &url);
    bench.passes("dump");
    bench.passes("migrations");
    bench.back("back", &[]).unwrap();
    (bench, orders)
}

#[test]
fn a_swap_is_not_made_by_way_of_another_server() {
    let (bench, orders) = through_a_relay("sessions = \"end\"");
    // Another server, with a database of the same name, takes over half of the address.
    let other = Site::on(tcp());
    other.sql("CREATE DATABASE shop");
    let plan = bench.plan("restore");
    orders.lock().unwrap().elsewhere = Some(other.cluster.port());
    let snapshot = bench.start("restore", plan);
    let finding = bench.finding("restore");
    let state = snapshot.run.gate("restore").unwrap().state;
    assert_eq!(state, GateState::Failed, "{finding}");
    assert!(
        finding.contains("database postgres is on another server than the target"),
        "{finding}"
    );
    let databases = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database \
                     WHERE NOT datistemplate";
    assert_eq!(other.one(databases), "postgres shop");
    assert_eq!(bench.site.one(databases), "postgres shop");
    orders.lock().unwrap().elsewhere = None;
    bench.passes("restore");
    assert_eq!(
        bench.site.one_in("shop", "SELECT count(*) FROM app.t"),
        "500"
    );
}

#[test]
fn a_restore_in_place_that_cannot_be_compared_says_that_it_was_made() {
    let (bench, orders) = through_a_relay("mode = \"in-place\"");
    bench.site.sql_in("shop", "DROP TABLE app.u");
    orders.lock().unwrap().cut_at = Some("SET DateStyle = ISO; SET IntervalStyle");
    let snapshot = bench.gate("restore");
    let finding = bench.finding("restore");
    let state = snapshot.run.gate("restore").unwrap().state;
    assert_eq!(state, GateState::Errored, "{finding}");
    assert!(
        finding.contains("restored; could not be compared"),
        "{finding}"
    );
    assert!(!finding.contains("nothing was changed"), "{finding}");
    assert_eq!(
        bench.site.one_in("shop", "SELECT count(*) FROM app.t"),
        "500"
    );
}

#[tokio::test]
async fn a_name_that_is_another_database_by_now_is_not_changed_over() {
    let cluster = crate::server::cluster();
    let (admin, helper) = (open(&info(&cluster)).await, open(&info(&cluster)).await);
    run(&admin, "CREATE DATABASE shop").await;
    let names = SwapNames::new("shop", "20261121-104607-aa59", "restore");
    let fresh = fresh_database::create_like(&admin, &names.live, &names.fresh)
        .await
        .unwrap();
    let before = swap::standing(&admin, &names).await.unwrap();
    assert_eq!(before.fresh, Some(fresh));
    let live = before.live.unwrap();
    run(&admin, "DROP DATABASE shop").await;
    run(&admin, "CREATE DATABASE shop").await;
    let error = swap::swap(&admin, &helper, &names, (live, fresh), false)
        .await
        .unwrap_err();
    assert!(error.changed_nothing());
    assert!(
        error.to_string().contains("shop is another database"),
        "{error}"
    );
    let live = swap::standing(&admin, &names).await.unwrap().live.unwrap();
    // Neither is one taken for the new database that is not it.
    let error = swap::swap(&admin, &helper, &names, (live, fresh + 1), false)
        .await
        .unwrap_err();
    assert!(error.changed_nothing(), "{error}");
    let after = swap::standing(&admin, &names).await.unwrap();
    assert_eq!(
        (after.live, after.fresh, after.kept),
        (Some(live), Some(fresh), None)
    );
    swap::swap(&admin, &helper, &names, (live, fresh), false)
        .await
        .unwrap();
    let after = swap::standing(&admin, &names).await.unwrap();
    assert_eq!(
        (after.live, after.fresh, after.kept),
        (Some(fresh), None, Some(live))
    );
}

#[tokio::test]
async fn a_fresh_database_is_like_the_live_one_in_all_that_a_dump_leaves_out() {
    let cluster = crate::server::cluster();
    let admin = open(&info(&cluster)).await;
    run(&admin, "CREATE ROLE ana; CREATE ROLE ben").await;
    run(
        &admin,
        "CREATE DATABASE shop TEMPLATE template0 OWNER ana ENCODING 'UTF8' LC_COLLATE 'C' \
         LC_CTYPE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk' CONNECTION LIMIT 7",
    )
    .await;
    run(
        &admin,
        "REVOKE ALL ON DATABASE shop FROM PUBLIC; GRANT CONNECT ON DATABASE shop TO ben \
         WITH GRANT OPTION; REVOKE TEMPORARY ON DATABASE shop FROM ana; \
         COMMENT ON DATABASE shop IS 'Ana''s shop'; ALTER DATABASE shop SET work_mem = '7MB'; \
         ALTER DATABASE shop SET search_path = \"$user\", \"my-schema\", \"a,b\"; \
         ALTER DATABASE shop SET app.tenant = 'it''s, one'; \
         ALTER ROLE ben IN DATABASE shop SET statement_timeout = '5s'; \
         ALTER DATABASE shop IS_TEMPLATE true",
    )
    .await;
    let oid = fresh_database::create_like(&admin, "shop", "fresh")
        .await
        .unwrap();
    let fresh = open(&info(&cluster).with_database("fresh")).await;
    assert_eq!(identity::read(&fresh).await.unwrap().database_oid, oid);
    let all = |name: &str| {
        format!(
            "SELECT (to_jsonb(d) - '{{oid,datname,datfrozenxid,datminmxid,datistemplate}}'::text[] \
             || jsonb_build_object('comment', shobj_description(oid, 'pg_database'), \
             'settings', (SELECT jsonb_agg(jsonb_build_array(setrole, setconfig) ORDER BY setrole) \
             FROM pg_db_role_setting WHERE setdatabase = d.oid)))::text \
             FROM pg_database d WHERE datname = '{name}'"
        )
    };
    let wanted = crate::server::one(&admin, &all("shop")).await;
    assert!(wanted.contains("my-schema") && wanted.contains("phonebk"));
    assert_eq!(crate::server::one(&admin, &all("fresh")).await, wanted);
    let template = "SELECT datistemplate FROM pg_database WHERE datname = 'fresh'";
    assert_eq!(crate::server::one(&admin, template).await, "f");
}
