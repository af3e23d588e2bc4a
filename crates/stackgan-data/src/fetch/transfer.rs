//! One connection of a download. It brings the missing bytes if the server confirms that the file
//! is the same, else all bytes.

use std::fs::File;
use std::io::{ErrorKind, Read, Write as _};
use std::time::{Duration, Instant};

use ureq::Body;
use ureq::http::Response;

use super::event::{Doing, Event, Listener};
use super::http::{Client, Failure, content_range, header, reason, unsatisfied};
use super::job::Job;
use super::part::{Origin, Part};
use super::patience::Patience;
use super::{page, room};
use crate::Error;

/// Number of bytes read from a connection at a time.
const PIECE: usize = 1 << 16;

/// The connections to one address.
pub(super) struct Transfer<'a> {
    client: &'a Client,
    patience: &'a Patience,
    job: &'a Job<'a>,
    address: &'a str,
    /// The length that was reported last.
    told: Option<Option<u64>>,
}

/// What a response contains.
struct Coming {
    /// Offset of the first byte.
    start: u64,
    /// Length of the whole file, if the server gives it.
    total: Option<u64>,
}

impl<'a> Transfer<'a> {
    pub(super) fn new(
        client: &'a Client,
        patience: &'a Patience,
        job: &'a Job<'a>,
        address: &'a str,
    ) -> Self {
        Self { client, patience, job, address, told: None }
    }

    /// Downloads what is missing in `part`. `Ok` means that the server has no more data; the hash
    /// is not checked.
    pub(super) fn connect(&mut self, part: &Part, hear: &mut Listener<'_>) -> Result<(), Failure> {
        let have = part.len();
        if have > 0 && self.job.pinned.size == Some(have) {
            return Ok(()); // interrupted after the last byte, before the rename
        }
        let origin = part.origin();
        let same = origin.address == self.address;
        let validator = origin.validator().filter(|_| same);
        // Without a hash, only the server can confirm that the rest belongs to the same file.
        let known = validator.is_some() || self.job.pinned.is_hashed();
        let goes_on = have > 0 && have < self.job.cap && known;
        let mut headers = Vec::new();
        if goes_on {
            headers.push(("Range", format!("bytes={have}-")));
            headers.extend(validator.map(|validator| ("If-Range", validator.to_owned())));
        }
        let mut response = self.client.get(self.address, &headers)?;
        let Some(Coming { start, total }) =
            self.coming(&response, goes_on.then_some((have, &origin)), part)?
        else {
            return Ok(());
        };
        self.check_length(total)?;
        if let Some(folder) = part.path.parent() {
            let missing = total.unwrap_or(0).saturating_sub(start);
            room::require(folder, missing, &format!("download {}", self.job.name))?;
        }
        let arrived = self.origin(&response, total);
        let content_type = header(&response, "content-type");
        let mut body = response.body_mut().as_reader();
        let mut pace = Pace::new(self.patience);
        let whole = total.or(self.job.pinned.size);
        // Examine the start first: data of the wrong kind must never reach the part.
        let (mut first, mut broken) = (Vec::new(), None);
        while start == 0 && first.len() < page::ENOUGH {
            let mut piece = vec![0; page::ENOUGH - first.len()];
            match pace.read(&mut body, &mut piece) {
                Ok(0) => break,
                Ok(n) => first.extend_from_slice(piece.get(..n).unwrap_or_default()),
                Err(failure) if first.len() < page::LEAST => {
                    return Err(at(failure, first.len() as u64, whole));
                }
                Err(failure) => {
                    broken = Some(failure);
                    break;
                }
            }
        }
        if start == 0 {
            page::examine(self.job.name, content_type.as_deref(), &first)
                .map_err(|instead| Failure::last(format!("{instead} in place of the file")))?;
        }
        if self.told != Some(total) {
            self.told = Some(total);
            let file = self.job.name.to_owned();
            hear(&Event::Begin { doing: Doing::Downloading, file, total: whole });
        }
        hear(&Event::At(start));
        let mut out = if start == 0 { part.begin(&arrived)? } else { part.go_on(start)? };
        let mut written = self.write(&mut out, part, &first, start)?;
        let ended = match broken {
            Some(failure) => Err(failure),
            None => self.pour(&mut body, (&mut out, part), &mut written, (&mut pace, hear)),
        };
        out.sync_all().map_err(|e| Error::write(&part.path, e))?;
        match ended {
            Ok(()) if whole.is_none_or(|whole| written >= whole) => Ok(()),
            Ok(()) => Err(at(Failure::again("it was closed"), written, whole)),
            Err(failure) => Err(at(failure, written, whole)),
        }
    }

    /// What the response contains; `None` if the part is already complete.
    fn coming(
        &self,
        response: &Response<Body>,
        asked: Option<(u64, &Origin)>,
        part: &Part,
    ) -> Result<Option<Coming>, Failure> {
        let length = header(response, "content-length").and_then(|text| text.parse::<u64>().ok());
        let range = header(response, "content-range");
        let start_over = |why: &str| -> Failure {
            part.remove().map_or_else(Failure::from, |()| Failure::again(why))
        };
        match (response.status().as_u16(), asked) {
            (200, _) => Ok(Some(Coming { start: 0, total: length })),
            (206, Some((have, origin))) => {
                let now =
                    |name: &str| header(response, name).filter(|_| origin.address == self.address);
                // Servers that share an address may disagree about the time, not about the tag.
                let same = match (&origin.etag, now("etag")) {
                    (Some(tag), Some(now)) => *tag == now,
                    _ => match (&origin.last_modified, now("last-modified")) {
                        (Some(time), Some(now)) => *time == now,
                        _ => true,
                    },
                };
                if !same {
                    return Err(start_over("the file has changed on the server; starting over"));
                }
                let range = range.as_deref().and_then(content_range);
                let Some((_, last, whole)) = range.filter(|(first, ..)| *first == have) else {
                    return Err(start_over("the server sent another range; starting over"));
                };
                let end = last.saturating_add(1);
                let expected = self.job.pinned.size.or(origin.length);
                let total = whole.or(expected).unwrap_or(end);
                let fits = length.is_none_or(|n| have.checked_add(n) == Some(end))
                    && expected.is_none_or(|expected| total == expected)
                    && end <= total;
                if !fits {
                    return Err(start_over("the server contradicts itself; starting over"));
                }
                Ok(Some(Coming { start: have, total: Some(total) }))
            }
            (416, Some((have, _))) => match range.as_deref().and_then(unsatisfied) {
                Some(whole) if whole == have => Ok(None),
                _ => Err(start_over("the server's file is shorter; starting over")),
            },
            (status @ (404 | 410), _) => Err(Failure::Final {
                why: format!("the answer {status}: no such file"),
                absent: true,
            }),
            (status @ (408 | 425 | 429 | 500..=599), _) => {
                let seconds = header(response, "retry-after").and_then(|text| text.parse().ok());
                let why = format!("the answer {status}: not now");
                Err(Failure::Again { why, wait: seconds.map(Duration::from_secs) })
            }
            (status @ (401 | 403 | 451), _) => {
                Err(Failure::last(format!("the answer {status}: access denied")))
            }
            (status, _) => Err(Failure::last(format!("the answer {status}"))),
        }
    }

    /// Refuses a file of another length, and one that is too large, before any of it is read.
    fn check_length(&self, total: Option<u64>) -> Result<(), Failure> {
        let job = self.job;
        match (job.pinned.size, total) {
            (Some(size), Some(total)) if size != total => {
                Err(Failure::last(format!("a file of {total} bytes, not of {size}")))
            }
            (size, total) => match total.or(size).filter(|length| *length > job.cap) {
                Some(length) => Err(job.too_large(length).into()),
                None => Ok(()),
            },
        }
    }

    /// Announces the download anew: something else was shown in the meantime.
    pub(super) fn tell_again(&mut self) {
        self.told = None;
    }

    /// The origin of this response's bytes. Weak tags are ignored, because they do not identify
    /// bytes.
    fn origin(&self, response: &Response<Body>, total: Option<u64>) -> Origin {
        let strong = |tag: &String| tag.starts_with('"') && tag.len() > 2;
        Origin {
            address: self.address.to_owned(),
            etag: header(response, "etag").filter(strong),
            last_modified: header(response, "last-modified"),
            length: total,
        }
    }

    /// Writes the body to the part until it ends; `written` is the length of the part.
    fn pour(
        &self,
        body: &mut dyn Read,
        (out, part): (&mut File, &Part),
        written: &mut u64,
        (pace, hear): (&mut Pace<'_>, &mut Listener<'_>),
    ) -> Result<(), Failure> {
        let mut piece = vec![0; PIECE];
        loop {
            let n = pace.read(body, &mut piece)?;
            if n == 0 {
                return Ok(());
            }
            *written = self.write(out, part, piece.get(..n).unwrap_or_default(), *written)?;
            hear(&Event::At(*written));
        }
    }

    fn write(&self, out: &mut File, part: &Part, piece: &[u8], at: u64) -> Result<u64, Failure> {
        let end = at.saturating_add(piece.len() as u64);
        if end > self.job.cap {
            part.remove()?;
            return Err(Failure::last(format!("more than the {} bytes expected", self.job.cap)));
        }
        out.write_all(piece).map_err(|e| Error::write(&part.path, e))?;
        Ok(end)
    }
}

/// Adds the position at which a connection broke.
fn at(failure: Failure, bytes: u64, whole: Option<u64>) -> Failure {
    let of = whole.map_or_else(String::new, |whole| format!(" of {whole}"));
    match failure {
        Failure::Again { why, wait } => Failure::Again {
            why: format!("the connection ended at {bytes}{of} bytes ({why})"),
            wait,
        },
        failure => failure,
    }
}

/// Measures whether a connection is worth keeping: one that is too slow counts as stalled.
struct Pace<'a> {
    patience: &'a Patience,
    since: Instant,
    bytes: u64,
}

impl<'a> Pace<'a> {
    fn new(patience: &'a Patience) -> Self {
        Self { patience, since: Instant::now(), bytes: 0 }
    }

    fn read(&mut self, body: &mut dyn Read, piece: &mut [u8]) -> Result<usize, Failure> {
        loop {
            match body.read(piece) {
                Ok(n) => {
                    self.bytes += n as u64;
                    let (passed, stall) = (self.since.elapsed(), self.patience.stall);
                    if n == 0 || passed < stall {
                        return Ok(n);
                    }
                    let least = self.patience.slowest as f64 * passed.as_secs_f64();
                    if (self.bytes as f64) < least {
                        let seconds = passed.as_secs_f64();
                        let why = format!("{} bytes in {seconds:.0} s: too slow", self.bytes);
                        return Err(Failure::again(why));
                    }
                    (self.since, self.bytes) = (Instant::now(), 0);
                    return Ok(n);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(Failure::again(reason(&e.to_string()))),
            }
        }
    }
}
