//! Lets another terminal reach the demo that is open: one line in, one line out.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::{Exit, say};
use crate::demo::DemoWorld;
use crate::system::durable::make_private_folder;

/// The file that names the newest open demo's socket.
fn pointer() -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "stagegate")?;
    Some(folders.cache_dir().join("demo-control"))
}

/// Listens for requests to mend faults as long as the world stands.
pub(super) fn listen(world: Arc<DemoWorld>, socket: &Path) -> std::io::Result<()> {
    let listener = UnixListener::bind(socket)?;
    if let Some(pointer) = pointer()
        && let Some(folder) = pointer.parent()
    {
        make_private_folder(folder)?;
        std::fs::write(&pointer, socket.as_os_str().as_encoded_bytes())?;
    }
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (read, mut write) = stream.into_split();
            let mut line = String::new();
            let mut reader = tokio::io::BufReader::new(read);
            if reader.read_line(&mut line).await.is_err() {
                continue;
            }
            let answer = match line.trim().strip_prefix("mend ") {
                Some(fault) => match world.mend(fault).await {
                    Ok(()) => "well\n".to_owned(),
                    Err(error) => format!("{}\n", error.to_string().replace('\n', " ")),
                },
                None => "this demo knows only: mend NAME\n".to_owned(),
            };
            let _ = write.write_all(answer.as_bytes()).await;
        }
    });
    Ok(())
}

/// Asks the open demo to mend a fault.
pub(super) fn ask_to_mend(fault: &str) -> Exit {
    let answer = pointer().and_then(|pointer| {
        let socket = std::fs::read_to_string(pointer).ok()?;
        let mut stream = UnixStream::connect(socket).ok()?;
        writeln!(stream, "mend {fault}").ok()?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).ok()?;
        Some(answer)
    });
    match answer.as_deref().map(str::trim) {
        Some("well") => {
            say::note(&format!(
                "{fault} is mended; press r on the gate in the console"
            ));
            Exit::Well
        }
        Some(reason) => {
            say::note(&format!("stagegate: {reason}"));
            Exit::Error
        }
        None => {
            say::note("stagegate: no demo is open; start one with: stagegate demo --fault NAME");
            Exit::Error
        }
    }
}
