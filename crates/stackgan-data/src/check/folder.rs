//! The expected parts of a user's own folder.

use super::report::{Part, Report, Status};
use crate::error::{counted, first_few};
use crate::layouts::folder::{Origin, Survey};
use crate::layouts::{LEAVE_OUT, Reading, Uncaptioned};
use std::path::Path;

const MAKE: &str = "put NAME.jpg, NAME.png or NAME.webp there, each with NAME.txt (one caption a line) or a row in metadata.csv \
                    (file_name,text)";

/// Maximum number of pictures with unusable captions that are listed individually.
const MOST: usize = 20;

/// The parts, and notes on files that are not used.
pub(super) fn parts(dir: &Path, how: Reading) -> (Vec<Part>, Vec<String>) {
    let mut report = Report::new(dir, MAKE);
    let named = |mut survey: Survey| match how.uncaptioned {
        Uncaptioned::ClassName => survey.caption_by_class(dir).map(|()| survey),
        Uncaptioned::Refuse | Uncaptioned::LeaveOut => Ok(survey),
    };
    let survey = match Survey::of(dir).and_then(named) {
        Ok(survey) => survey,
        Err(error) => {
            report.fault("the folder", &error);
            return (report.into_parts(), Vec::new());
        }
    };
    let uncaptioned = survey.uncaptioned();
    let n = survey.pictures.len() + uncaptioned.len() + survey.unread.len();
    report.said(
        "*.jpg, *.jpeg, *.png, *.webp",
        "pictures",
        if n == 0 {
            Status::Missing { remedy: MAKE.to_owned() }
        } else {
            Status::Found { detail: counted(n, "file") }
        },
    );
    let from = |from| survey.pictures.values().filter(|found| found.from == from).count();
    let beside = from(Origin::Text);
    let few = first_few(&uncaptioned);
    let bare = match how.uncaptioned {
        Uncaptioned::Refuse | Uncaptioned::ClassName => uncaptioned.len(),
        Uncaptioned::LeaveOut => 0, // a note gives their number
    };
    let in_tables = || "correct the names in tables, below: their captions are there".to_owned();
    report.said(
        "*.txt",
        "captions beside the pictures, one a line",
        match (bare, beside) {
            (0, 0) if n > 0 && !survey.tables.is_empty() => {
                Status::Absent { detail: "not needed: tables have the captions".to_owned() }
            }
            (0, _) => Status::Found { detail: counted(beside, "file") },
            _ => Status::Wrong {
                detail: format!("{bare} of {} without captions ({few})", counted(n, "picture")),
                remedy: survey.captions_remedy(how.uncaptioned).unwrap_or_else(in_tables),
            },
        },
    );
    let unread = match how.uncaptioned {
        Uncaptioned::Refuse | Uncaptioned::ClassName => &survey.unread[..],
        Uncaptioned::LeaveOut => &[], // likewise
    };
    for (_, error) in unread.iter().take(MOST) {
        report.fault("captions of a picture", error);
    }
    if let Some(more @ 1..) = unread.len().checked_sub(MOST) {
        let detail = format!("those of {} more cannot be used", counted(more, "picture"));
        let remedy = format!("correct them, or leave such pictures out with {LEAVE_OUT}");
        report.said("*.txt, tables", "captions of pictures", Status::Wrong { detail, remedy });
    }
    if survey.tables.is_empty() {
        let detail = "not needed: captions, classes, splits and boxes in one place".to_owned();
        report.said("metadata.csv, .tsv or .jsonl", "a table", Status::Absent { detail });
    } else {
        let columns: Vec<&str> = survey.columns.used.iter().map(String::as_str).collect();
        let pictures = counted(from(Origin::Table), "picture");
        let detail = format!("captions of {pictures}; columns used: {}", columns.join(", "));
        report.said(&first_few(&survey.tables), "tables", Status::Found { detail });
    }
    if let Some(remedy) = survey.names_remedy() {
        let (n, few) = (counted(survey.named_only.len(), "name"), first_few(&survey.named_only));
        let detail = format!("{n} without a picture ({few})");
        report.said(
            &first_few(&survey.tables),
            "names in tables",
            Status::Wrong { detail, remedy },
        );
    }
    (report.into_parts(), survey.notes())
}

#[cfg(test)]
mod tests {
    use crate::check::check;
    use crate::layouts::{Kind, Reading, Uncaptioned};
    use crate::testing::put;

    #[test]
    fn what_is_there_and_what_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| drop(put(&dir, name, text));
        let said = || check(dir.path(), Kind::Folder, Reading::default()).to_string();
        assert!(said().contains("MISSING") && said().contains("NAME.txt"), "{}", said());
        write("red/a.jpg", "x");
        assert!(said().contains("1 of 1 picture without captions (red/a.jpg)"), "{}", said());
        write("red/c.jpg", "x");
        write("red/c.txt", "another\n");
        let how = Reading { uncaptioned: Uncaptioned::LeaveOut, ..Reading::default() };
        let left = check(dir.path(), Kind::Folder, how).to_string();
        assert!(left.contains("1 picture without captions left out (red/a.jpg)"), "{left}");
        assert!(left.contains("everything") && !left.contains("WRONG"), "{left}");
        assert!(left.contains("WARNING") && left.contains("two pictures"), "{left}");
        std::fs::write(dir.path().join("red/c.txt"), b"\xff\xfea").unwrap();
        assert!(said().contains("  red/c.txt ") && said().contains("UTF-8"), "{}", said());
        std::fs::remove_file(dir.path().join("red/c.txt")).unwrap();
        std::fs::remove_file(dir.path().join("red/c.jpg")).unwrap();
        write("red/a.txt", "a red one\n");
        assert!(
            said().contains("1 picture to train on") && said().contains("everything"),
            "{}",
            said()
        );
        write("metadata.csv", "file_name,text\nred/b.jpg,none\n");
        assert!(said().contains("1 name without a picture (red/b.jpg)"), "{}", said());
        write("metadata.csv", "file_name,text\nred/b.jpg,none\nred/A.jpg,a\n");
        for part in ["2 names without", "1 differs only in capitals (red/A.jpg for red/a.jpg); add"]
        {
            assert!(said().contains(part), "{part} in {}", said());
        }
        write("metadata.csv", "name,text\nred/b.jpg,none\n");
        assert!(said().contains("WRONG") && said().contains("no file names"), "{}", said());
        assert!(said().contains("  metadata.csv ") && !said().contains("archive"), "{}", said());
        write("metadata.csv", "file_name,text,split,hue\nred/a.jpg,x,both,1\n");
        assert!(said().contains("  metadata.csv ") && said().contains("(row 1)"), "{}", said());
        write("metadata.csv", "file_name,text,hue\nred/a.jpg,x,1\n");
        for part in ["columns used: file_name, text", "not used: hue", "captions of 1 picture;"] {
            assert!(said().contains(part), "{part} in {}", said());
        }
    }

    #[test]
    fn everything_is_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let long = "x".repeat(5000);
        let files = [("a.jpg", "x"), ("a.txt", &long), ("b.jpg", "x"), ("phone.HEIC", "x")];
        for (name, text) in files.into_iter().chain([("c.jpg", "x"), ("c.txt", "c")]) {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let said = check(dir.path(), Kind::Folder, Reading::default()).to_string();
        for part in [
            "1 of 3 pictures without captions (b.jpg)",
            "caption is too long",
            "1 picture neither JPEG nor PNG nor WebP, not used (phone.HEIC); to use them, save",
            "cannot be imported yet",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
        let how = Reading { uncaptioned: Uncaptioned::LeaveOut, ..Reading::default() };
        let left = check(dir.path(), Kind::Folder, how);
        assert!(left.is_complete() && left.to_string().contains("1 picture to train on"), "{left}");
        assert!(
            left.to_string().contains("1 picture whose captions cannot be used left out (a.jpg")
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_out_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own");
        std::fs::create_dir(&own).unwrap();
        std::fs::write(dir.path().join("b.jpg"), "x").unwrap();
        std::os::unix::fs::symlink("../b.jpg", own.join("a.jpg")).unwrap();
        let said = check(&own, Kind::Folder, Reading::default()).to_string();
        assert!(said.contains("  a.jpg ") && said.contains("b.jpg"), "{said}");
    }
}
