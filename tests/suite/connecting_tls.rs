//! TLS against a real server: what each `sslmode` accepts, and what is said of what it does not.

use std::path::PathBuf;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use stagegate::postgres::cluster::{Cluster, ClusterOptions};
use stagegate::postgres::{ConnectFailure, PostgresError, Session, SessionSettings};

use crate::server::{info, one, open, refusal, resolve, run, wait_until, write_private};

const HBA: &str = "\
    local all all trust\n\
    hostssl all scram 127.0.0.1/32 scram-sha-256\n\
    hostssl all cert 127.0.0.1/32 cert\n\
    hostssl all postgres 127.0.0.1/32 trust\n\
    hostnossl all clear 127.0.0.1/32 trust\n";

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    fn issue(&self, params: &CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A server that speaks TLS on the loopback, and a folder for the client's files.
struct World {
    cluster: Cluster,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let authority = Authority::new("our authority");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let (certificate, key) = authority.issue(&params);
        let world = Self {
            cluster: Cluster::start(&ClusterOptions {
                listen_tcp: true,
                ..ClusterOptions::default()
            })
            .unwrap(),
            authority,
            folder: tempfile::tempdir().unwrap(),
        };
        let place = |name, text: &str| world.cluster.place_file(name, text.as_bytes()).unwrap();
        place("pg_hba.conf", HBA);
        place("authority.crt", &world.authority.pem);
        place(
            "postgresql.auto.conf",
            "ssl = on\nssl_ca_file = 'authority.crt'\n",
        );
        world.serve(&certificate, &key);
        world
    }

    fn serve(&self, certificate: &str, key: &str) {
        self.cluster
            .place_file("server.crt", certificate.as_bytes())
            .unwrap();
        self.cluster
            .place_file("server.key", key.as_bytes())
            .unwrap();
        self.cluster.restart().unwrap();
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        write_private(&path, text);
        path
    }

    fn roots(&self) -> String {
        let path = self.file("root.crt", &self.authority.pem);
        format!("sslrootcert={}", path.display())
    }

    fn address(&self, user: &str, more: &str) -> String {
        format!(
            "host=localhost port={} user={user} dbname=postgres connect_timeout=5 {more}",
            self.cluster.port()
        )
    }

    async fn opens(&self, more: &str) -> Session {
        open(&resolve(&self.address("postgres", more))).await
    }

    async fn refuses(&self, more: &str) -> (ConnectFailure, String) {
        let error = refusal(&resolve(&self.address("postgres", more))).await;
        (error.failure, error.to_string())
    }
}

#[tokio::test]
async fn each_mode_accepts_what_it_promises() {
    let world = World::new();
    let roots = world.roots();
    for mode in ["prefer", "require", "verify-ca", "verify-full"] {
        let session = world.opens(&format!("sslmode={mode} {roots}")).await;
        assert!(session.is_tls(), "{mode}");
        let seen = one(
            &session,
            "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
        )
        .await;
        assert_eq!(seen, "t", "{mode}");
    }
    // Without a root certificate, require takes any.
    assert!(world.opens("sslmode=require").await.is_tls());
    assert!(
        world
            .opens(&format!(
                "sslmode=verify-full {roots} ssl_min_protocol_version=TLSv1.3"
            ))
            .await
            .is_tls()
    );
    // `allow` begins in clear, is refused by pg_hba.conf, and goes on with TLS.
    assert!(world.opens("sslmode=allow").await.is_tls());
    // A socket has no TLS, whatever is asked for.
    assert!(!open(&info(&world.cluster)).await.is_tls());
}

#[tokio::test]
async fn another_name_is_refused_by_verify_full_only() {
    let world = World::new();
    let elsewhere = |mode: &str| {
        let address = world.address("postgres", &format!("sslmode={mode} {}", world.roots()));
        resolve(&address.replace("host=localhost", "host=db.example hostaddr=127.0.0.1"))
    };
    assert!(open(&elsewhere("verify-ca")).await.is_tls());
    let error = refusal(&elsewhere("verify-full")).await;
    assert_eq!(error.failure, ConnectFailure::Certificate);
    let text = error.to_string();
    assert!(
        text.contains("db.example") && text.contains("localhost"),
        "{text}"
    );

    let by_address = world
        .address(
            "postgres",
            &format!("sslmode=verify-full {}", world.roots()),
        )
        .replace("host=localhost", "host=127.0.0.1");
    let error = refusal(&resolve(&by_address)).await;
    assert_eq!(error.failure, ConnectFailure::Certificate);
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_require_checks_a_named_root_too() {
    let world = World::new();
    let other = world.file("other.crt", &Authority::new("another").pem);
    for mode in ["require", "verify-ca", "verify-full"] {
        let (failure, text) = world
            .refuses(&format!("sslmode={mode} sslrootcert={}", other.display()))
            .await;
        assert_eq!(failure, ConnectFailure::Certificate, "{mode}: {text}");
        assert!(
            text.contains("not trusted") && text.contains("other.crt"),
            "{text}"
        );
    }
    let (failure, text) = world.refuses("sslmode=verify-full").await;
    assert_eq!(failure, ConnectFailure::TlsFile);
    assert!(text.contains("sslrootcert=system"), "{text}");
    let (failure, _) = world
        .refuses("sslmode=verify-full sslrootcert=/nowhere/root.crt")
        .await;
    assert_eq!(failure, ConnectFailure::TlsFile);
    let broken = world.file("broken.crt", "no certificate");
    let (failure, text) = world
        .refuses(&format!(
            "sslmode=verify-ca sslrootcert={}",
            broken.display()
        ))
        .await;
    assert_eq!(failure, ConnectFailure::TlsFile);
    assert!(text.contains("holds no certificate"), "{text}");
}

#[tokio::test]
async fn certificates_with_their_own_trouble_are_described() {
    let world = World::new();
    let strict = format!("sslmode=verify-full {}", world.roots());

    let mut expired = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    expired.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let (certificate, key) = world.authority.issue(&expired);
    world.serve(&certificate, &key);
    let (failure, text) = world.refuses(&strict).await;
    assert_eq!(failure, ConnectFailure::Certificate);
    assert!(text.contains("expired"), "{text}");

    let mut named = CertificateParams::new(Vec::new()).unwrap();
    named
        .distinguished_name
        .push(DnType::CommonName, "localhost");
    let (certificate, key) = world.authority.issue(&named);
    world.serve(&certificate, &key);
    let (failure, text) = world.refuses(&strict).await;
    assert_eq!(failure, ConnectFailure::Certificate);
    assert!(text.contains("(CN)"), "{text}");

    // As `openssl x509 -req` makes them without an extension file.
    let fixture = |name: &str| {
        std::fs::read_to_string(format!(
            "{}/tests/fixtures/tls/{name}",
            env!("CARGO_MANIFEST_DIR")
        ))
        .unwrap()
    };
    world.serve(&fixture("version-1.crt"), &fixture("version-1.key"));
    for more in [strict.as_str(), "sslmode=require"] {
        let (failure, text) = world.refuses(more).await;
        assert_eq!(failure, ConnectFailure::Certificate, "{text}");
        assert!(text.contains("version 1"), "{text}");
    }
}

#[tokio::test]
async fn a_self_signed_certificate_can_vouch_for_itself() {
    let world = World::new();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    world.serve(&certificate, &key.serialize_pem());
    let own = world.file("own.crt", &certificate);
    let session = world
        .opens(&format!(
            "sslmode=verify-full sslrootcert={}",
            own.display()
        ))
        .await;
    assert!(session.is_tls());
    let (failure, _) = world
        .refuses(&format!("sslmode=verify-full {}", world.roots()))
        .await;
    assert_eq!(failure, ConnectFailure::Certificate);
}

#[tokio::test]
async fn a_server_without_tls_gets_nothing_from_a_connection_that_wants_it() {
    let cluster = Cluster::start(&ClusterOptions {
        listen_tcp: true,
        ..ClusterOptions::default()
    })
    .unwrap();
    let address = |mode: &str| {
        resolve(&format!(
            "host=127.0.0.1 port={} user=postgres password=s3cret sslmode={mode}",
            cluster.port()
        ))
    };
    let error = refusal(&address("require")).await;
    assert_eq!(error.failure, ConnectFailure::TlsNotOffered);
    assert!(!open(&address("prefer")).await.is_tls());
    assert!(!open(&address("allow")).await.is_tls());
}

#[tokio::test]
async fn a_rule_that_depends_on_tls_is_met_or_named() {
    let world = World::new();
    let admin = open(&info(&world.cluster)).await;
    run(&admin, "CREATE ROLE clear LOGIN").await;
    let error = refusal(&resolve(&world.address("postgres", "sslmode=disable"))).await;
    assert_eq!(error.failure, ConnectFailure::TlsRequired);
    // This role is admitted in clear only: prefer goes on without TLS, as PostgreSQL's own does.
    assert!(
        !open(&resolve(&world.address("clear", "sslmode=prefer")))
            .await
            .is_tls()
    );
    let error = refusal(&resolve(&world.address("clear", "sslmode=require"))).await;
    assert_eq!(error.failure, ConnectFailure::NoHbaEntry);
    let error = refusal(&resolve(&world.address("stranger", "sslmode=prefer"))).await;
    let text = error.to_string();
    assert!(
        text.contains("with TLS:") && text.contains("without TLS:"),
        "{text}"
    );
}

#[tokio::test]
async fn a_password_is_tied_to_the_tls_connection() {
    let world = World::new();
    let admin = open(&info(&world.cluster)).await;
    run(&admin, "CREATE ROLE scram LOGIN PASSWORD 'right'").await;
    let address = |more: &str| {
        resolve(&world.address(
            "scram",
            &format!("sslmode=verify-full {} {more}", world.roots()),
        ))
    };
    for binding in ["disable", "prefer", "require"] {
        open(&address(&format!(
            "password=right channel_binding={binding}"
        )))
        .await;
    }
    let error = refusal(&address("password=wr0ng")).await;
    assert_eq!(error.failure, ConnectFailure::PasswordWrong);
    // Trust asks for nothing, so nothing is tied to anything.
    let (failure, _) = world
        .refuses("sslmode=require channel_binding=require")
        .await;
    assert_eq!(failure, ConnectFailure::ChannelBinding);
}

#[tokio::test]
async fn a_client_certificate_opens_or_says_why_not() {
    let world = World::new();
    let admin = open(&info(&world.cluster)).await;
    run(&admin, "CREATE ROLE cert LOGIN").await;
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "cert");
    let (certificate, key) = world.authority.issue(&params);
    let certificate = world.file("client.crt", &certificate);
    let key = world.file("client.key", &key);
    let address = |key: &std::path::Path| {
        resolve(&world.address(
            "cert",
            &format!(
                "sslmode=require sslcert={} sslkey={}",
                certificate.display(),
                key.display()
            ),
        ))
    };
    let session = open(&address(&key)).await;
    assert_eq!(one(&session, "SELECT current_user").await, "cert");

    let error = refusal(&resolve(&world.address("cert", "sslmode=require"))).await;
    assert_eq!(error.failure, ConnectFailure::NotAdmitted, "{error}");

    let encrypted = world.file("encrypted.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
    let error = refusal(&address(&encrypted)).await;
    assert_eq!(error.failure, ConnectFailure::TlsFile);
    assert!(error.to_string().contains("openssl pkey"), "{error}");

    std::fs::write(&encrypted, std::fs::read(&key).unwrap()).unwrap();
    let open_to_all = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&encrypted, open_to_all).unwrap();
    let error = refusal(&address(&encrypted)).await;
    assert!(error.to_string().contains("mode 644"), "{error}");
}

#[tokio::test]
async fn a_request_to_cancel_goes_over_tls_too() {
    let world = World::new();
    let strict = resolve(&world.address(
        "postgres",
        &format!("sslmode=verify-full {}", world.roots()),
    ));
    let patient = SessionSettings {
        statement_timeout: Duration::from_secs(60),
        ..SessionSettings::default()
    };
    let session = Session::open(&strict, &patient).await.unwrap();
    let watcher = open(&strict).await;
    let sleeping = session.rows("SELECT pg_sleep(600)");
    let cancel = async {
        let active = format!(
            "SELECT state FROM pg_stat_activity WHERE pid = {}",
            session.backend_pid()
        );
        wait_until(&watcher, &active, "active").await;
        session.canceller().cancel().await.unwrap();
    };
    let (result, ()) = tokio::join!(sleeping, cancel);
    assert_eq!(result.unwrap_err().sqlstate(), Some("57014"));
    let rows: Result<_, PostgresError> = session.rows("SELECT 1").await;
    assert_eq!(rows.unwrap().len(), 1);
}
