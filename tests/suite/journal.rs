//! The journal's bytes: what a crash may leave, what nobody may change, what is refused and why.

// A test that cannot go on says where it stands; it has nobody to hand an error to.

use std::sync::Arc;

use stagegate::digest::digest;
use stagegate::expectation::Verdict;
use stagegate::promotion::{
    Command, Decision, GENESIS, Journal, JournalDamage, Record, Resolution, Run, Tail,
};

use stagegate::untrusted::is_forbidden;

use crate::state_machine::world::{
    ANA, World, confirm, finish, invalidate, lose, resolve, retry, sign, start, waive,
};

/// A run with a bit of everything, and text beyond ASCII.
fn world() -> World {
    let mut world = World::opened();
    world.console(&confirm(0, None));
    world.console(&confirm(1, Some("12.5")));
    world.console(&start("count"));
    world.engine(&finish("count", 1, Verdict::Inconclusive));
    world.console(&Command::Note {
        gate: Some("count".into()),
        text: "„keine Zeile“ – 未だ\nnext \"line\"".into(),
    });
    world.console(&retry("count"));
    world.engine(&finish("count", 2, Verdict::Passed));
    world.console(&start("backup"));
    world.engine(&lose("backup", 1));
    world.engine(&resolve("backup", 1, Resolution::Pending));
    world.console(&Command::Hold {
        reason: "load".into(),
    });
    world.console(&Command::Resume);
    assert!(world.records.len() >= 15, "{}", world.records.len());
    world
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

fn damage(bytes: &[u8]) -> JournalDamage {
    Journal::read(bytes).expect_err("this must be refused")
}

/// Makes a line whose hash is right, whatever it says.
fn forged(body: &str) -> Vec<u8> {
    let open = body.strip_suffix('}').unwrap();
    format!("{open},\"hash\":\"{}\"}}\n", digest(body.as_bytes())).into_bytes()
}

#[test]
fn records_are_numbered_without_gaps_and_chained() {
    let world = world();
    let journal = Journal::read(&world.bytes).unwrap();
    assert_eq!(journal.records, world.records);
    assert_eq!(
        (journal.valid_bytes, journal.tail),
        (world.bytes.len(), Tail::Clean)
    );
    let mut before = (0, GENESIS.to_owned());
    for record in &journal.records {
        assert_eq!((record.seq, &record.prev), (before.0 + 1, &before.1));
        before = (record.seq, record.hash.clone());
    }
    assert_eq!(journal.last(), (before.0, before.1.as_str()));
    assert_eq!(Run::fold(&journal.records), world.run);
}

/// Anybody can check a line with nothing but SHA-256: the hash covers the bytes before it.
#[test]
fn the_hash_is_that_of_the_bytes() {
    for line in lines(&world().bytes) {
        let text = String::from_utf8(line).unwrap();
        let (body, rest) = text.rsplit_once(",\"hash\":\"").unwrap();
        assert_eq!(
            rest,
            format!("{}\"}}\n", digest(format!("{body}}}").as_bytes()))
        );
    }
}

#[test]
fn a_clock_that_goes_back_does_not_matter() {
    let mut world = world();
    world.now = "1999-01-01T00:00:00Z".parse().unwrap();
    world.console(&start("backup"));
    assert_eq!(Journal::read(&world.bytes).unwrap().records, world.records);
    assert_eq!(world.replayed(), world.run);
}

#[test]
fn a_cut_at_any_byte_is_a_shorter_history_or_a_torn_tail() {
    let world = world();
    let mut whole = 0;
    let mut end_of_whole = 0;
    for cut in 0..=world.bytes.len() {
        if cut > 0 && world.bytes[cut - 1] == b'\n' {
            whole += 1;
            end_of_whole = cut;
        }
        let journal = Journal::read(&world.bytes[..cut]).unwrap();
        let only_line_feed_missing = world.bytes.get(cut) == Some(&b'\n');
        if only_line_feed_missing {
            assert_eq!(journal.tail, Tail::MissingLineFeed, "cut at {cut}");
            assert_eq!(journal.records, world.records[..=whole], "cut at {cut}");
            assert_eq!(journal.valid_bytes, cut);
            continue;
        }
        let tail = match cut - end_of_whole {
            0 => Tail::Clean,
            torn => Tail::Torn(torn),
        };
        assert_eq!(journal.tail, tail, "cut at {cut}");
        assert_eq!(journal.records, world.records[..whole], "cut at {cut}");
        assert_eq!(journal.valid_bytes, end_of_whole);
    }
}

/// What a crash leaves is cut off, the run goes on, and the journal verifies as if nothing had been.
#[test]
fn a_run_goes_on_behind_a_torn_tail() {
    let world = world();
    let journal = Journal::read(&world.bytes[..world.bytes.len() - 7]).unwrap();
    let mut mended = World::empty();
    mended.bytes = world.bytes[..journal.valid_bytes].to_vec();
    mended.run = Run::fold(&journal.records);
    mended.records = journal.records;
    mended.console(&Command::Continue {
        version: "0.1.0".into(),
    });
    assert_eq!(mended.replayed(), mended.run);
}

/// Flips every bit of a journal, one at a time, and gives each outcome with its byte.
fn flip_every_bit(bytes: &[u8], mut check: impl FnMut(usize, Result<Journal, JournalDamage>)) {
    let mut flipped = bytes.to_vec();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            flipped[at] ^= 1 << bit;
            check(at, Journal::read(&flipped));
            flipped[at] = bytes[at];
        }
    }
}

fn number_at(bytes: &[u8], at: usize) -> u64 {
    bytes[..at].iter().filter(|byte| **byte == b'\n').count() as u64 + 1
}

fn short() -> World {
    let mut definition = crate::state_machine::world::definition();
    definition.phases.truncate(1);
    let mut world = World::opened_with(definition);
    world.pass("checklist");
    world.console(&start("count"));
    world.engine(&finish("count", 1, Verdict::Passed));
    world
}

#[test]
fn a_flip_of_any_bit_is_found_with_its_record() {
    let world = short();
    assert!(world.records.len() >= 6);
    flip_every_bit(&world.bytes, |at, read| {
        let damage = read.expect_err("a flip went unnoticed");
        assert_eq!(
            damage.record,
            number_at(&world.bytes, at),
            "byte {at}: {damage}"
        );
    });
}

/// A torn tail behind it hides no flip, and a flip in the tail invents no history.
#[test]
fn a_torn_tail_hides_no_flip() {
    let world = short();
    let bytes = &world.bytes[..world.bytes.len() - 90];
    let whole = Journal::read(bytes).unwrap();
    flip_every_bit(bytes, |at, read| match read {
        Err(damage) => assert_eq!(damage.record, number_at(bytes, at)),
        Ok(journal) => {
            assert!(
                at >= whole.valid_bytes,
                "a flip at byte {at} went unnoticed"
            );
            assert_eq!(journal.records, whole.records);
        }
    });
}

/// A last record without its line feed was never acknowledged; flipped, it is no other record.
#[test]
fn a_flip_in_an_unacknowledged_record_invents_no_history() {
    let world = short();
    let bytes = &world.bytes[..world.bytes.len() - 1];
    let last = world.records.len() - 1;
    flip_every_bit(bytes, |at, read| match read {
        Err(damage) => assert_eq!(damage.record, number_at(bytes, at)),
        Ok(journal) => assert_eq!(journal.records, world.records[..last], "byte {at}"),
    });
}

#[test]
fn removed_repeated_and_swapped_records_are_found() {
    let lines = lines(&world().bytes);
    for at in 0..lines.len() - 1 {
        let number = at as u64 + 1;
        let mut removed = lines.clone();
        removed.remove(at);
        let found = damage(&removed.concat());
        assert_eq!(found.record, number);
        assert_eq!(
            found.reason,
            format!("its number is {}, not {number}", number + 1)
        );

        let mut repeated = lines.clone();
        repeated.insert(at, lines[at].clone());
        let found = damage(&repeated.concat());
        assert_eq!(found.record, number + 1);
        assert_eq!(
            found.reason,
            format!("its number is {number}, not {}", number + 1)
        );

        let mut swapped = lines.clone();
        swapped.swap(at, at + 1);
        assert_eq!(damage(&swapped.concat()).record, number);
    }
}

#[test]
fn a_record_written_anew_does_not_fit_the_next_one() {
    let world = world();
    let lines = lines(&world.bytes);
    let text = String::from_utf8(lines[4].clone()).unwrap();
    let (body, _) = text.rsplit_once(",\"hash\":\"").unwrap();
    let mut rewritten = lines.clone();
    rewritten[4] = forged(&format!("{body}}}").replace("\"ana\"", "\"eve\""));
    assert_ne!(rewritten[4], lines[4]);
    let found = damage(&rewritten.concat());
    assert_eq!(found.record, 6);
    assert_eq!(found.reason, "it does not follow the record before it");
}

#[test]
fn a_record_of_another_run_does_not_fit() {
    let mut other = World::opened();
    other.now = "2025-11-23T01:00:00Z".parse().unwrap();
    other.pass("checklist");
    let mut mixed = lines(&world().bytes);
    mixed[2] = lines(&other.bytes)[2].clone();
    let found = damage(&mixed.concat());
    assert_eq!(
        (found.record, found.reason.as_str()),
        (3, "it does not follow the record before it")
    );
}

fn closing(kind: &str) -> String {
    format!(
        "{{\"seq\":1,\"time\":\"2025-11-22T01:00:00Z\",\"actor\":{{\"name\":\"ana\",\"via\":\"console\"}},\
         \"prev\":\"{GENESIS}\",\"event\":{{{kind}}}}}"
    )
}

#[test]
fn a_journal_begins_with_an_opening() {
    let found = damage(&forged(&closing("\"type\":\"run_closed\"")));
    assert_eq!(
        found.to_string(),
        "the journal is refused at record 1: it does not open a run"
    );
}

#[test]
fn what_a_newer_version_wrote_is_refused_and_said_to_be_so() {
    let world = world();
    let (seq, hash) = world
        .records
        .last()
        .map(|r| (r.seq + 1, r.hash.clone()))
        .unwrap();
    let with_event = |event: &str| {
        let body = closing(event)
            .replace("\"seq\":1,", &format!("\"seq\":{seq},"))
            .replace(GENESIS, &hash);
        [world.bytes.clone(), forged(&body)].concat()
    };
    let unknown_type = with_event("\"type\":\"gate_teleported\",\"gate\":\"count\"");
    assert_eq!(
        damage(&unknown_type).to_string(),
        format!(
            "the journal is refused at record {seq}: \
             this version knows no event `gate_teleported`; a newer one wrote it"
        )
    );
    let unknown_field = with_event("\"type\":\"run_held\",\"reason\":\"x\",\"until\":\"noon\"");
    let found = damage(&unknown_field);
    assert_eq!(found.record, seq);
    assert!(
        found
            .reason
            .starts_with("this version cannot read it: unknown field `until`"),
        "{found}"
    );
    // Without its line feed it is as whole: cutting it off would make another history.
    for bytes in [unknown_type, unknown_field] {
        assert_eq!(damage(&bytes[..bytes.len() - 1]).record, seq);
    }
}

#[test]
fn nothing_is_a_journal_of_no_records() {
    let journal = Journal::read(b"").unwrap();
    assert_eq!((journal.records.len(), journal.tail), (0, Tail::Clean));
    assert_eq!(journal.last(), (0, GENESIS));
    assert_eq!(Run::fold(&journal.records), None);
    // Zeroes are what some file systems leave of a write that a power cut took.
    assert_eq!(Journal::read(&[0; 300]).unwrap().tail, Tail::Torn(300));
    assert_eq!(damage(b"\n").record, 1);
}

#[test]
fn a_fold_needs_an_opening() {
    let world = world();
    let later: Vec<Arc<Record>> = world.records[1..].to_vec();
    assert_eq!(Run::fold(&later), None);
}

/// What people type reaches neither a terminal nor a log as a control sequence.
#[test]
fn what_people_type_is_cleaned_before_it_is_recorded() {
    let nasty = "\u{1b}]52;c;AA==\u{7}\u{202e} OPS-4711, agreed by all \u{9b}2J".to_owned();
    let mut world = World::opened();
    world.console(&Command::Note {
        gate: None,
        text: nasty.clone(),
    });
    world.console(&Command::Hold {
        reason: nasty.clone(),
    });
    world.console(&Command::Resume);
    world.console(&Command::HandOver {
        to: nasty.clone(),
        epoch: None,
    });
    for gate in ["checklist", "count", "backup", "migrate", "answer"] {
        world.pass(gate);
    }
    let mut signature = sign("dba", ANA, Decision::Approve);
    if let Command::Sign { note, .. } = &mut signature {
        note.clone_from(&nasty);
    }
    world.console(&signature);
    world.engine(&invalidate("count"));
    world.console(&start("count"));
    world.engine(&finish("count", 2, Verdict::Failed));
    world.console(&waive("count", &nasty));
    world.console(&Command::Abandon { reason: nasty });
    let text = String::from_utf8(world.bytes.clone()).unwrap();
    let forbidden = text.chars().filter(|c| is_forbidden(*c)).count();
    assert_eq!(forbidden, world.records.len(), "only line feeds");
    assert!(
        !text.contains("\\u001b"),
        "an escaped control character comes back when it is read"
    );
    assert_eq!(text.matches("\u{241b}]52;c;AA==").count(), 6);
}
