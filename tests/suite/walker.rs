//! Walks a run in the console by keys alone, as a person would: reads the screen, presses what the
//! bottom line offers, fills in what a dialog asks for.

use crate::pty::Pty;

/// A console that is walked.
pub(crate) struct Walker {
    pub(crate) pty: Pty,
}

/// The title of the sheet that is signed.
const SIGN: &str = "─ Sign `";

/// What is asked before something acts on no production database.
const ACTS: &str = "It acts. Press y or Enter to go on.";

/// The title of that question where the gate was started before.
const RETRIES: &str = "─ Retry `";

/// The title of the sheet that takes a plan from elsewhere, and a plan that harms nothing.
const GIVE: &str = "─ Give `";
const PLAN: &str = "ALTER TABLE agents ADD COLUMN state varchar(20);";

/// What a walk came to.
#[derive(Debug, PartialEq)]
pub(crate) enum Stop {
    /// The selected gate did not pass.
    Refused,
    /// Every gate let the run through; `Enter` closes it.
    AllThrough,
}

/// What the last screen says of a run that is closed.
const CLOSED: &str = "The run is closed.";

impl Walker {
    /// Presses on until a gate refuses, or all are through.
    #[track_caller]
    pub(crate) fn walk(&mut self) -> Stop {
        for _ in 0..400 {
            self.pty
                .wait_until("a screen that waits for a key", |screen| {
                    let bottom = bottom(screen);
                    let writes = bottom.contains("Ctrl-S copy it") || bottom.contains("y confirm");
                    writes
                        || bottom.contains("Enter ")
                        || bottom.contains("r retry")
                        || bottom.contains("g go on")
                        || screen.contains(SIGN)
                        || screen.contains(GIVE)
                        || screen.contains(ACTS)
                        || screen.contains(CLOSED)
                });
            let screen = self.pty.text();
            let bottom = bottom(&screen);
            if screen.contains("Type the name of the target") {
                self.type_name();
            } else if screen.contains(ACTS) {
                self.pty.wait_gone("keys count in a moment");
                self.agree(screen.contains(RETRIES), attempt(&screen));
            } else if screen.contains(GIVE) {
                self.give(PLAN);
            } else if screen.contains("Tell people: read it") {
                self.tell();
            } else if screen.contains("Confirm with a value") {
                self.answer("42", "Confirm with a value");
            } else if bottom.contains("Enter close the run") || screen.contains(CLOSED) {
                // A gate may end by itself while its key is on the way, and the key closes the run.
                return Stop::AllThrough;
            } else if bottom.contains("r retry") {
                return Stop::Refused;
            } else if bottom.contains("g go on") {
                self.choose();
            } else if screen.contains(SIGN) {
                self.sign();
            } else {
                self.press_and_wait("\r");
            }
        }
        panic!("it goes on and on:\n{}", self.pty.text());
    }

    /// Agrees to what acts. The old verdict of a gate that is retried stands on the screen until the
    /// engine says that it began; what was never started has none.
    #[track_caller]
    fn agree(&mut self, retries: bool, before: u32) {
        self.pty.send("y");
        self.pty.wait_until("the gate to begin", |screen| {
            let began = attempt(screen) > before || !bottom(screen).contains("r retry");
            // It may have begun and ended before this key.
            let ended = screen.contains("nothing was started");
            (!retries || began || ended) && !screen.contains(ACTS)
        });
    }

    /// Presses on until the program is killed by a fault point.
    #[track_caller]
    pub(crate) fn walk_until_killed(&mut self) {
        let waits = |screen: &str| bottom(screen).contains("Enter ");
        while self.pty.goes_on_until(waits) {
            let screen = self.pty.text();
            let Some(name) = wanted_name(&screen) else {
                let before = without_clock(&screen);
                self.pty.send("\r");
                self.pty
                    .goes_on_until(|screen| without_clock(screen) != before);
                continue;
            };
            // What is typed while the plan arrives is void; then it is typed again.
            self.pty.send(&name);
            let typed = format!("> {name}");
            self.pty.goes_on_until(|screen| {
                screen.contains(&typed) || screen.contains("while this was open")
            });
            let before = without_clock(&self.pty.text());
            self.pty.send("\r");
            self.pty
                .goes_on_until(|screen| without_clock(screen) != before);
        }
    }

    /// Presses a key and waits until the screen says something else than the time.
    #[track_caller]
    pub(crate) fn press_and_wait(&mut self, key: &str) {
        let before = without_clock(&self.pty.text());
        self.pty.send(key);
        self.pty.wait_until("an answer to the key", |screen| {
            without_clock(screen) != before
        });
    }

    /// Asks a gate that refused once more, and waits until it does: anything else may change on the
    /// screen meanwhile, as git's state beside it.
    #[track_caller]
    pub(crate) fn retry(&mut self) {
        let before = attempt(&self.pty.text());
        self.pty.send("r");
        self.pty.wait_until("another attempt", |screen| {
            !bottom(screen).contains("r retry") || attempt(screen) > before || screen.contains(ACTS)
        });
    }

    /// Types the target's name. What is typed is void when the plan arrives meanwhile, as for
    /// anybody; then it is typed again.
    #[track_caller]
    pub(crate) fn type_name(&mut self) {
        let dialog = "Type the name of the target";
        while let Some(name) = wanted_name(&self.pty.text()) {
            let typed = format!("> {name}");
            self.pty.send(&name);
            self.pty
                .wait_until("the name, or why it does not count", |screen| {
                    screen.contains(&typed) || screen.contains("while this was open")
                });
            self.press_and_wait("\r");
            self.pty.wait_until("an answer", |screen| {
                !screen.contains(dialog)
                    || screen.contains("letter by letter")
                    || screen.contains("> __")
            });
        }
    }

    /// Answers what a ramp asks: raises the flag when all is well, steps back when it is held.
    #[track_caller]
    pub(crate) fn choose(&mut self) {
        if bottom(&self.pty.text()).contains("s step back") {
            self.pty.send("s");
            self.pty.wait_until("the end of the gate", |screen| {
                bottom(screen).contains("r retry")
            });
            return;
        }
        self.pty.send("g");
        self.pty.wait_until("the last question", |screen| {
            screen.contains("Raise the flag from") && !screen.contains("keys count in a moment")
        });
        self.pty.send("y");
        self.pty.wait_gone("Raise the flag from");
        self.pty
            .wait_until("what follows", |screen| !bottom(screen).contains("g go on"));
    }

    #[track_caller]
    fn answer(&mut self, text: &str, dialog: &str) {
        self.pty.send(text);
        self.pty.wait_for(text);
        self.pty.send("\r");
        self.pty.wait_gone(dialog);
    }

    /// Pastes a plan from elsewhere, as a terminal does.
    #[track_caller]
    pub(crate) fn give(&mut self, plan: &str) {
        self.pty.send(&format!("\x1b[200~{plan}\x1b[201~"));
        self.pty.wait_for(&format!("1 │ {plan}"));
        self.pty.send("\x13");
        self.pty.wait_gone(GIVE);
    }

    /// Copies the message that is offered.
    #[track_caller]
    fn tell(&mut self) {
        self.pty.send("\x13");
        self.pty.wait_gone("Tell people: read it");
    }

    /// Starts the way back that `choose` leaves selected, and types the name.
    #[track_caller]
    pub(crate) fn roll_back(&mut self, choose: &[&str], name: &str) {
        self.pty.send("b");
        self.pty.wait_for("─ Roll back? ─");
        self.pty.wait_gone("keys count in a moment");
        for key in choose {
            self.press_and_wait(key);
        }
        self.pty.wait_for("Why does the run go back?");
        self.answer("the audit says so", "Why does the run go back?");
        self.pty.wait_for("Type to go on");
        self.answer(name, "Type to go on");
    }

    /// Signs for the role that is offered, by the person that is offered.
    #[track_caller]
    fn sign(&mut self) {
        self.pty.wait_gone("keys count in a moment");
        for key in ["\r", "\r", "a", "\r"] {
            self.press_and_wait(key);
        }
        self.pty.send("looks right");
        self.pty.wait_for("looks right");
        self.press_and_wait("\r");
        self.pty.send("\r");
        self.pty.wait_gone(SIGN);
    }
}

/// The name that a dialog wants typed, if one is open.
fn wanted_name(screen: &str) -> Option<String> {
    let (_, rest) = screen.split_once("Type the name of the target to go on: ")?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// The attempt that the gate's pane speaks of; the first one is not always counted aloud.
fn attempt(screen: &str) -> u32 {
    let rest = screen.split_once("attempt ").map_or("", |(_, rest)| rest);
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// The last line, which offers the keys.
pub(crate) fn bottom(screen: &str) -> &str {
    screen
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("")
}

/// The screen without the lines that change by themselves.
fn without_clock(screen: &str) -> String {
    let still = |line: &&str| !line.contains("· safe ") && !line.contains("running for");
    screen.lines().filter(still).collect::<Vec<_>>().join("\n")
}
