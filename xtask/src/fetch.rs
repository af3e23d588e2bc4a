//! Downloads: continued where they broke off, bounded, checked against the published hash before they get their name.
//!
//! A file is `NAME.part` until it is whole and its hash is right. What a server sends instead of the file (a quota page,
//! an error page) is recognised by its first bytes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use md5::{Digest as _, Md5};

use crate::extract;
use crate::manifest::{self, Source, Then};

/// Tries for each address.
const TRIES: u32 = 5;
/// How long to wait for a connection, and for the next bytes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Gets every file of a dataset that is not there yet, and unpacks what can be unpacked.
pub(crate) fn fetch(files: &[manifest::File], into: &Path) -> Result<()> {
    fs::create_dir_all(into).with_context(|| format!("cannot make {}", into.display()))?;
    let mut by_hand = Vec::new();
    for file in files {
        let path = into.join(file.name);
        if let Then::Unpack(folder, _) = file.then
            && into.join(folder).exists()
        {
            println!("{}: already unpacked", file.name);
            continue;
        }
        if !path.exists() {
            match file.from {
                Source::Web(addresses) => download(file, addresses, &path)?,
                Source::Drive(address) => {
                    by_hand.push(format!(
                        "{} ({})\n  open: {address}\n  save as: {}",
                        file.name,
                        file.what,
                        path.display()
                    ));
                    continue;
                }
            }
        }
        verify(file, &path)?;
        match file.then {
            Then::Keep => {}
            Then::Unpack(folder, most) => {
                println!("{}: unpacking", file.name);
                extract::unpack(&path, into, folder, most)?;
            }
            Then::Unzip => println!(
                "{}: whole; unpack it here: unzip {} -d {}",
                file.name,
                path.display(),
                into.display()
            ),
        }
    }
    if !by_hand.is_empty() {
        println!(
            "\nThese lie on Google Drive, which wants a browser. Save them, then run this command again:\n"
        );
        by_hand.iter().for_each(|line| println!("{line}"));
    }
    Ok(())
}

fn download(file: &manifest::File, addresses: &[&str], path: &Path) -> Result<()> {
    let part = path.with_file_name(format!("{}.part", file.name));
    let mut last = anyhow::anyhow!("no address is known");
    for address in addresses {
        for attempt in 1..=TRIES {
            println!("{}: {address}", file.name);
            match transfer(file, address, &part) {
                Ok(()) => {
                    refuse_page(&part, address)?;
                    verify(file, &part)?;
                    return fs::rename(&part, path).context("cannot rename a whole download");
                }
                Err(error) => {
                    println!("  try {attempt} of {TRIES}: {error:#}");
                    last = error;
                    std::thread::sleep(Duration::from_secs(u64::from(attempt)));
                }
            }
        }
    }
    Err(last.context(format!(
        "{} could not be downloaded\n  do: open one of {addresses:?} in a browser, save it as {}, run this again",
        file.name,
        path.display()
    )))
}

/// One connection: goes on after the bytes that are there, if the server agrees to.
fn transfer(file: &manifest::File, address: &str, part: &Path) -> Result<()> {
    let have = part.metadata().map_or(0, |m| m.len());
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .max_redirects(5)
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent.get(address).header("Accept-Encoding", "identity");
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let response = request.call()?;
    let header =
        |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let range = header("content-range");
    let start = match response.status().as_u16() {
        200 => 0,
        206 if range.as_deref().is_some_and(|r| r.starts_with(&format!("bytes {have}-"))) => have,
        416 if range.as_deref() == Some(&format!("bytes */{have}")) => return Ok(()), // whole already
        416 => {
            fs::remove_file(part)?;
            bail!("what is here is longer than the server's file; starting over");
        }
        status => bail!("the server answered {status} (range {range:?})"),
    };
    if header("content-type").is_some_and(|t| t.starts_with("text/html")) {
        bail!("the server sent a web page instead of the file");
    }
    let length = header("content-length").and_then(|v| v.parse::<u64>().ok());
    let total = length.map(|n| start + n);
    if total.is_some_and(|n| n > file.most) {
        bail!("the server's file is larger than expected: {total:?} bytes, at most {}", file.most);
    }
    let mut out = OpenOptions::new().create(true).write(true).truncate(false).open(part)?;
    out.set_len(start)?;
    out.seek(SeekFrom::Start(start))?;
    let mut body = response.into_body();
    let written = copy(&mut body.as_reader(), &mut out, start, (file.most, total))?;
    out.sync_all()?;
    match total {
        Some(total) if written < total => {
            bail!("the connection ended at {written} of {total} bytes")
        }
        _ => Ok(()),
    }
}

fn copy(
    from: &mut impl Read,
    to: &mut File,
    start: u64,
    (most, total): (u64, Option<u64>),
) -> Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let (mut written, mut said) = (start, Instant::now());
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok(written),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e.into()),
        };
        written += n as u64;
        if written > most {
            bail!("the server sends more than the {most} bytes expected");
        }
        to.write_all(buffer.get(..n).unwrap_or_default())?;
        if said.elapsed() > Duration::from_secs(10) {
            said = Instant::now();
            let of = total.map_or_else(String::new, |t| format!(" of {}", t >> 20));
            println!("  {}{of} MiB", written >> 20);
        }
    }
}

/// Tells a web page from the file that was wanted.
fn refuse_page(part: &Path, address: &str) -> Result<()> {
    let mut start = Vec::new();
    File::open(part)?.take(512).read_to_end(&mut start)?;
    let text = String::from_utf8_lossy(&start).to_lowercase();
    if text.trim_start().starts_with("<!doctype") || text.trim_start().starts_with("<html") {
        fs::remove_file(part)?;
        bail!(
            "the server sent a web page instead of the file\n  do: open {address} in a browser and save the file by hand"
        );
    }
    Ok(())
}

/// Compares a file with its published hash; a wrong one is removed if it is a partial download.
fn verify(file: &manifest::File, path: &Path) -> Result<()> {
    let Some(expected) = file.md5 else { return Ok(()) };
    let mut hash = Md5::new();
    let mut reader = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = reader.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        hash.update(buffer.get(..n).unwrap_or_default());
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == expected {
        println!("{}: MD5 {found} as published", file.name);
        return Ok(());
    }
    if path.extension().is_some_and(|e| e == "part") {
        fs::remove_file(path)?;
    }
    bail!(
        "{} is damaged\n  expected MD5 {expected}, found {found}\n  do: remove it and run this again",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;

    use super::*;

    const BODY: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    const BODY_MD5: &str = "e9b1713db620f1e3a14b6812de523f4b";

    fn file(md5: Option<&'static str>) -> manifest::File {
        manifest::File {
            name: "f.bin",
            what: "test",
            from: Source::Web(&[]),
            most: 100,
            md5,
            then: Then::Keep,
        }
    }

    /// Serves each answer once, in turn; an answer sees the request's `Range` header.
    fn server(answers: Vec<fn(Option<u64>) -> Vec<u8>>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/f.bin", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut range = None;
                for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                    let line = line.unwrap().to_lowercase();
                    if let Some(from) = line.strip_prefix("range: bytes=") {
                        range = from.trim_end_matches('-').parse().ok();
                    }
                    if line.is_empty() {
                        break;
                    }
                }
                stream.write_all(&answer(range)).unwrap();
            }
        });
        address
    }

    fn whole(_: Option<u64>) -> Vec<u8> {
        [b"HTTP/1.1 200 OK\r\nContent-Length: 36\r\nConnection: close\r\n\r\n", BODY].concat()
    }

    fn cut(_: Option<u64>) -> Vec<u8> {
        [b"HTTP/1.1 200 OK\r\nContent-Length: 36\r\nConnection: close\r\n\r\n", &BODY[..10]]
            .concat()
    }

    fn rest(range: Option<u64>) -> Vec<u8> {
        let from = range.unwrap_or(0);
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-35/36\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            36 - from
        );
        [head.as_bytes(), &BODY[from as usize..]].concat()
    }

    fn page(_: Option<u64>) -> Vec<u8> {
        b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\nConnection: close\r\n\r\n<!DOCTYPE html><html>"
            .to_vec()
    }

    fn large(_: Option<u64>) -> Vec<u8> {
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\nx".to_vec()
    }

    #[test]
    fn a_download_that_broke_off_is_continued() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.bin");
        let address = server(vec![cut, rest]);
        download(&file(Some(BODY_MD5)), &[&address], &path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), BODY);
        assert!(!dir.path().join("f.bin.part").exists());
    }

    #[test]
    fn wrong_bytes_never_get_the_files_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.bin");
        let wrong = file(Some("00000000000000000000000000000000"));
        let address = server(vec![whole]);
        let error = download(&wrong, &[&address], &path).unwrap_err().to_string();
        assert!(error.contains("damaged"), "{error}");
        let address = server(vec![page]);
        let error = download(&file(None), &[&address], &path).unwrap_err().to_string();
        assert!(error.contains("web page"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_endless_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let address = server(vec![large]);
        let error = transfer(&file(None), &address, &dir.path().join("p")).unwrap_err().to_string();
        assert!(error.contains("larger than expected"), "{error}");
    }
}
