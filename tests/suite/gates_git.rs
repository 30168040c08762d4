//! Git and merge gates, by the real binary on real repositories and a real bare remote.

use crate::git_merge::Promotion;
use crate::site::{Ended, Site};

struct World {
    site: Site,
    promotion: Promotion,
}

impl World {
    fn new() -> World {
        World {
            site: Site::new(),
            promotion: Promotion::new(),
        }
    }

    fn repository(&self) -> String {
        let path = self.promotion.repository.path().display();
        format!("repository = \"{path}\"\n")
    }

    fn git(&self, body: &str) -> Ended {
        let repository = self.repository();
        self.site
            .gate(&format!("[phase.gate.git]\n{repository}{body}"))
    }

    fn merge_gate(&self) -> String {
        format!(
            "[phase.gate.merge]\n{}from = \"develop\"\ninto = \"main\"\nmode = \"merge-commit\"\n",
            self.repository()
        )
    }
}

#[test]
fn a_git_gate_passes_where_all_is_well_and_names_every_cause_where_not() {
    let world = World::new();
    let all = "branch = \"develop\"\nclean = true\nin_sync = true\nnot_behind = \"origin/main\"\n\
               contains = [\"origin/main\"]";
    world
        .git(all)
        .exits(0)
        .shows("develop at")
        .shows("clean, in sync");
    let evidence = world.site.evidence("gate-1.json");
    assert_eq!(evidence["state"]["head"]["branch"], "develop");
    assert_eq!(evidence["fetched"][0]["branch"], "develop");

    world.promotion.somebody_pushes();
    world.promotion.commit("later.txt", "x");
    world.promotion.repository.write("a.txt", "edited\n");
    world.promotion.repository.write("stray", "x");
    world
        .git(all)
        .exits(4)
        .says("1 changed and not committed: a.txt")
        .says("1 not tracked: stray")
        .says("1 ahead of `origin/develop`")
        .says("1 behind `origin/main`")
        .says("`origin/main` is not contained")
        .says("git stash");
    world
        .git("branch = \"main\"")
        .exits(4)
        .says("`develop` is checked out, not `main`")
        .says("git switch main");
    world
        .git("tag = \"v1\"")
        .exits(4)
        .says("there is no tag `v1`");
    world.promotion.git(&["tag", "v1", "main"]);
    world
        .git("tag = \"v1\"")
        .exits(4)
        .says("not at the head")
        .says("lightweight");
    world.promotion.git(&["tag", "-a", "v2", "-m", "v2"]);
    world.git("tag = \"v2\"").exits(0);
    world
        .git("contains = [\"nowhere\"]")
        .exits(4)
        .says("there is no commit `nowhere` here");
    let branch = world.promotion.remote.path().join("refs/heads/develop");
    std::fs::remove_file(branch).unwrap();
    world
        .git("in_sync = true")
        .exits(4)
        .says("`origin` has no branch `develop` any more");
    world
        .promotion
        .git(&["remote", "set-url", "origin", "/nowhere/at/all"]);
    world
        .git("clean = false\nfetch = true\nbranch = \"develop\"")
        .exits(4)
        .says("errored")
        .says("could not be fetched");
}

#[test]
fn a_signature_counts_only_by_the_right_key() {
    let world = World::new();
    let key = world.site.path("key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .output();
    // Without the program there are no signatures to look at.
    let Ok(made) = made else { return };
    assert!(made.status.success());
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    world
        .site
        .write("signers", &format!("ana@example.com {public}"));
    let asks = |who: &str| format!("signed_by = [\"{who}\"]\nallowed_signers = \"signers\"");
    world
        .git(&asks("ana@example.com"))
        .exits(4)
        .says("the commit is not signed");
    world.promotion.git(&["config", "gpg.format", "ssh"]);
    world
        .promotion
        .git(&["config", "user.signingKey", key.to_str().unwrap()]);
    world
        .promotion
        .git(&["commit", "--quiet", "--amend", "--no-edit", "-S"]);
    world.git(&asks("ana@example.com")).exits(0);
    world
        .git(&asks("bo@example.com"))
        .exits(4)
        .says("is signed by ana@example.com, not by bo@example.com");
    world.promotion.git(&["tag", "-s", "v9", "-m", "v9"]);
    let of_tag = format!("tag = \"v9\"\n{}", asks("ana@example.com"));
    world.git(&of_tag).exits(0);
    world.promotion.git(&["tag", "-a", "-f", "v9", "-m", "v9"]);
    world
        .git(&of_tag)
        .exits(4)
        .says("the tag v9 has no signature");
    // A program that the repository names proves nothing.
    world.promotion.git(&["config", "gpg.ssh.program", "true"]);
    world.site.write(
        "signers",
        &format!("bo@example.com {}", public.replace("AAAA", "AAAB")),
    );
    world
        .git(&asks("ana@example.com"))
        .exits(4)
        .says("no signature that counts");
}

#[test]
fn a_git_gate_is_stale_once_the_repository_moves() {
    let world = World::new();
    let repository = world.repository();
    let merge = world.merge_gate();
    world.site.runbook(&format!(
        "[[phase.gate]]\nid = \"look\"\ntitle = \"Look\"\n[phase.gate.git]\n{repository}clean = true\n\
         [[phase.gate]]\nid = \"file\"\ntitle = \"File\"\n[phase.gate.file]\npath = \"go\"\n\
         [[phase.gate]]\nid = \"merge\"\ntitle = \"Merge\"\n{merge}"
    ));
    world.site.run().exits(4);
    world.site.write("go", "x");
    world.promotion.repository.write("stray", "x");
    world.site.resume().exits(4).says("1 not tracked: stray");
    let journal = world.site.run_folder().join("journal.jsonl");
    let journal = std::fs::read_to_string(journal).unwrap();
    assert!(journal.contains("its repository has moved since it passed"));
    assert_eq!(
        world.promotion.remote_main(),
        world.promotion.git(&["rev-parse", "main"])
    );
}

#[test]
fn a_merge_gate_pushes_refuses_and_is_taken_up_after_a_crash() {
    let world = World::new();
    let old = world.promotion.remote_main();
    world
        .promotion
        .hook("pre-receive", "echo the gate is closed >&2; exit 1");
    world
        .site
        .gate(&world.merge_gate())
        .exits(4)
        .says("the remote refused the push")
        .says("the remote says: the gate is closed");
    assert_eq!(world.promotion.git(&["rev-parse", "main"]), old);
    world.promotion.hook("pre-receive", "exit 0");

    // Killed after the push: the remote has it, the branch here does not yet.
    let died = world
        .site
        .command(&["run", "runbook.toml", "--headless", "--runs-dir", "runs"])
        .env("STAGEGATE_DIE_AT", "after_git_push")
        .output()
        .unwrap();
    assert!(!died.status.success());
    let pushed = world.promotion.remote_main();
    assert_ne!(pushed, old);
    assert_eq!(world.promotion.git(&["rev-parse", "main"]), old);
    world.site.resume().exits(0);
    assert_eq!(world.promotion.remote_main(), pushed);
    assert_eq!(world.promotion.git(&["rev-parse", "main"]), pushed);
}
