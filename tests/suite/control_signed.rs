//! Four people sign at a console that watches, on another machine than the run's.

use stagegate::promotion::signature::Purpose;
use stagegate::promotion::{Event, GateState};

use crate::control_world::World;
use crate::signatures_world::{DOMAIN, Keys, PARTIES};

fn runbook(world: &World, keys: &Keys) {
    std::fs::write(world.path().join("allowed_signers"), keys.list()).unwrap();
    let roles = PARTIES
        .map(|(role, person)| format!("[[role]]\nname = \"{role}\"\nmembers = [\"{person}\"]\n"));
    world.runbook(&format!(
        "[[phase.gate]]\nid = \"accept\"\ntitle = \"Four parties accept\"\n[phase.gate.signoff]\n\
         roles = [\"dba\", \"release\", \"security\", \"business\"]\n{}\
         [signatures]\nallowed_signers = \"allowed_signers\"\ndomain = \"{DOMAIN}\"\n",
        roles.concat()
    ));
}

#[test]
fn four_people_sign_where_the_run_is_only_watched() {
    let (world, keys) = (World::new(), Keys::new());
    runbook(&world, &keys);
    let holder = world.open();
    let run = holder.snapshot().run.id.clone();
    world.until_mirrored(&run, 1);
    let watcher = world.watch(&run);
    let issued = holder.issue_statements("accept".into(), Purpose::Signoff, String::new());
    world.runtime.block_on(issued).unwrap();
    world.until(&watcher, "the statements", |snapshot| {
        snapshot.run.gates[0].signed.issued.is_some()
    });
    let folder = world
        .runs("two")
        .join("watched")
        .join(&run)
        .join("statements");
    let own = world.runs("one").join(&run).join("statements");
    for (role, person) in PARTIES {
        let name = format!("accept.{role}.{person}.approve.json");
        let bytes = std::fs::read(folder.join(&name)).unwrap();
        assert_eq!(bytes, std::fs::read(own.join(&name)).unwrap());
        let namespace = format!("{role}.signoff.{DOMAIN}");
        let signature = keys.sign(person, &namespace, &bytes);
        let handed = |text: &str| {
            let text = text.as_bytes().to_vec();
            world.runtime.block_on(watcher.hand_in(text, String::new()))
        };
        let refused = handed(&keys.sign(person, "other", &bytes)).unwrap();
        assert!(refused.starts_with("refused: "), "{refused}");
        let words = handed(&signature).unwrap();
        assert!(
            words.contains(&format!("approved by {person} as {role}")),
            "{words}"
        );
        assert!(words.contains("who watches"), "{words}");
    }
    world.until(&watcher, "the gate's end", |snapshot| {
        snapshot.run.gates[0].state == GateState::Passed
    });
    let rejected = |event: &Event| matches!(event, Event::InputRejected(_));
    let records = holder.snapshot().records.clone();
    assert_eq!(
        records
            .iter()
            .filter(|record| rejected(&record.event))
            .count(),
        4
    );
    holder.close();
    let verified = stagegate::report::verify(&world.runs("one").join(&run));
    assert!(verified.holds(), "{:?}", verified.checks);
}
