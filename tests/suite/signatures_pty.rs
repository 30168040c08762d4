//! Four people with four real keys sign a run that is open in the real console, by paste.

use crate::pty::Pty;
use crate::signatures_cli::Desk;

fn paste(pty: &mut Pty, text: &str) {
    pty.send(&format!("\x1b[200~{text}\x1b[201~"));
}

#[test]
fn four_signatures_are_pasted_and_the_run_goes_on() {
    let desk = Desk::new();
    let arguments = ["run", "runbook.toml", "--runs-dir", "runs"];
    let mut pty = Pty::start(&arguments, desk.folder(), &[], (120, 40));
    pty.wait_for("The change has no hazards");
    pty.send("\r");
    pty.wait_for("1 of 3 gates");
    pty.wait_for("may be signed by ana@example.com");
    pty.send("\r");
    pty.wait_for("statements wait for signatures");
    pty.wait_for("waits for the key of ana@example.com");
    let signed = |role: &str| std::fs::read_to_string(desk.sign(role, &[])).unwrap();
    // Pasted at the gate itself: the sheet opens with it.
    paste(&mut pty, &signed("dba"));
    pty.wait_for("Enter hands it in");
    pty.send("\r");
    pty.wait_for("approved by ana@example.com as dba");
    paste(&mut pty, &signed("dba"));
    pty.wait_for("Enter hands it in");
    pty.send("\r");
    pty.wait_for("refused: it was handed in before");
    pty.send("\x1b");
    pty.wait_for("Signatures by key, 1 of 4");
    pty.wait_for("Refused");
    for role in ["release", "security"] {
        pty.send("s");
        pty.wait_for("nothing is pasted yet");
        paste(&mut pty, &signed(role));
        pty.wait_for("Enter hands it in");
        pty.send("\r");
        pty.wait_for(&format!("as {role} (key"));
        pty.send("\x1b");
        pty.wait_gone("nothing is pasted yet");
    }
    // The last one is put beside its statement.
    let statement = desk.statement("business", "approve");
    std::fs::write(statement.with_extension("signed"), signed("business")).unwrap();
    pty.wait_for("2 of 3 gates");
    pty.send("\r");
    pty.wait_for("3 of 3 gates");
    pty.send("q");
    pty.wait_end();
}
