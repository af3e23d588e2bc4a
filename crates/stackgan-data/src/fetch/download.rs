//! Downloads: resumed after interruptions, bounded in size, retried, and checked before they get
//! their name.

use std::thread::sleep;
use std::time::Duration;

use super::event::{Event, Listener, bytes};
use super::http::{Client, Failure};
use super::job::Job;
use super::part::Part;
use super::patience::Patience;
use super::room;
use super::transfer::Transfer;
use crate::{Error, Result};

/// Maximum wait between two attempts.
const LONGEST: Duration = Duration::from_secs(60);
/// Maximum number of connections for one file at one address, however much data each brings.
const CONNECTIONS: u32 = 2_000;

/// The result of a download.
#[derive(Debug)]
pub(super) enum Download {
    /// The file is complete, with this SHA-256.
    Whole(String),
    /// No address has this file; the error says so.
    Absent(Error),
}

/// Downloads a file from the first of `addresses` that provides it.
///
/// # Errors
/// [`Error::Unreachable`] when no address provides it, [`Error::Malformed`] when the contents
/// differ from the published hashes, [`Error::Storage`] and [`Error::Write`] when there is no room.
pub(super) fn download(
    (client, patience): (&Client, &Patience),
    job: &Job<'_>,
    addresses: &[String],
    hear: &mut Listener<'_>,
) -> Result<Download> {
    if let Some(size) = job.pinned.size.filter(|size| *size > job.cap) {
        return Err(job.too_large(size));
    }
    let part = Part::of(job.path);
    if let Some(folder) = job.path.parent() {
        let missing = job.pinned.size.unwrap_or(0).saturating_sub(part.len());
        let needed = missing.saturating_add(job.after);
        room::require(folder, needed, &format!("download {}", job.name))?;
    }
    let mut said = Vec::new();
    let (mut absent, mut damaged) = (true, None);
    for address in addresses {
        match from_one((client, patience), job, (address, &part), hear) {
            Ok(sha256) => return Ok(Download::Whole(sha256)),
            Err(Failure::Fatal(error @ Error::Malformed { .. })) => {
                hear(&Event::Note(format!("{}: {}", job.name, error.reason())));
                absent = false;
                damaged = Some(error);
            }
            Err(Failure::Fatal(error)) => return Err(error),
            Err(Failure::Final { why, absent: none }) => {
                hear(&Event::Note(format!("{}: {address}: {why}", job.name)));
                absent &= none;
                said.push(why);
            }
            Err(Failure::Again { why, .. }) => {
                absent = false;
                said.push(why);
            }
        }
    }
    if let Some(error) = damaged {
        return Err(error);
    }
    let expected = match job.pinned.size {
        Some(size) => format!("{} of {}", bytes(size), job.name),
        None => job.name.to_owned(),
    };
    said.dedup();
    let error = Error::Unreachable {
        what: format!("{} could not be downloaded", job.name).into(),
        address: addresses.join(", ").into(),
        expected: expected.into(),
        found: said.join("; ").into(),
        remedy: by_hand(job, addresses),
    };
    if absent && !addresses.is_empty() { Ok(Download::Absent(error)) } else { Err(error) }
}

fn by_hand(job: &Job<'_>, addresses: &[String]) -> String {
    let pages = match job.by_hand {
        None => return "run this again later".to_owned(),
        Some([]) => addresses.join(" or "),
        Some(pages) => pages.join(" or "),
    };
    format!(
        "run this again later; or open {pages} in a browser, save the file as {}, and run this again",
        job.path.display()
    )
}

/// Tries one address until it makes no more progress.
fn from_one(
    (client, patience): (&Client, &Patience),
    job: &Job<'_>,
    (address, part): (&str, &Part),
    hear: &mut Listener<'_>,
) -> Result<String, Failure> {
    let (mut tries, mut connections, mut mended) = (0, 0, false);
    let mut transfer = Transfer::new(client, patience, job, address);
    loop {
        let before = part.len();
        connections += 1;
        let failure = match transfer.connect(part, hear) {
            Ok(()) => match job.pinned.check(&part.path, job.name, hear) {
                Ok(sha256) => {
                    part.finish(job.path)?;
                    return Ok(sha256);
                }
                Err(mut error @ Error::Malformed { .. }) => {
                    part.remove()?;
                    if let Error::Malformed { file, remedy, .. } = &mut error {
                        *file = job.path.to_path_buf();
                        let rest = by_hand(job, &[address.to_owned()]);
                        *remedy = format!("the bytes were thrown away; {rest}");
                    }
                    // A file assembled from several connections gets one more attempt, in one
                    // piece.
                    if before == 0 || mended {
                        return Err(Failure::Fatal(error));
                    }
                    mended = true;
                    transfer.tell_again();
                    Failure::again(error.reason())
                }
                Err(error) => return Err(error.into()),
            },
            Err(failure) => failure,
        };
        let Failure::Again { why, wait } = failure else { return Err(failure) };
        if part.len() >= before.saturating_add(patience.progress) {
            tries = 0;
        }
        tries += 1;
        if tries >= patience.tries || connections >= CONNECTIONS {
            let why = format!("{why} ({tries} tries without progress)");
            hear(&Event::Note(format!("{}: {address}: {why}", job.name)));
            return Err(Failure::again(why));
        }
        let wait = wait.unwrap_or_else(|| patience.pause.saturating_mul(1 << (tries - 1).min(6)));
        let wait = wait.min(LONGEST.max(patience.pause));
        hear(&Event::Note(format!("{}: {why}; again in {:.1} s", job.name, wait.as_secs_f64())));
        sleep(wait);
    }
}
