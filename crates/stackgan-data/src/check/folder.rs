//! The parts of a user's own folder.

use super::report::{Part, Report, Status};
use crate::error::first_few;
use crate::layouts::folder::Survey;
use std::path::Path;

const MAKE: &str = "put NAME.jpg or NAME.png there, each with NAME.txt (one caption a line) or a row in metadata.csv \
                    (file_name,text)";

pub(super) fn parts(dir: &Path) -> Vec<Part> {
    let mut report = Report::new(dir, MAKE);
    let survey = match Survey::of(dir) {
        Ok(survey) => survey,
        Err(error) => {
            report.wrong(dir, "the folder", &error);
            return report.into_parts();
        }
    };
    let n = survey.pictures.len() + survey.uncaptioned.len();
    report.said(
        "*.jpg, *.jpeg, *.png",
        "pictures",
        if n == 0 {
            Status::Missing { remedy: MAKE.to_owned() }
        } else {
            Status::Found { detail: format!("{n} files") }
        },
    );
    let beside = survey.pictures.values().filter(|found| found.text.is_some()).count();
    let (bare, few) = (survey.uncaptioned.len(), first_few(&survey.uncaptioned));
    report.said(
        "*.txt",
        "captions beside the pictures, one a line",
        match (bare, beside) {
            (0, 0) => Status::Absent { detail: "not needed: tables have the captions".to_owned() },
            (0, _) => Status::Found { detail: format!("{beside} files") },
            _ => Status::Wrong {
                detail: format!("{bare} of {n} pictures have no captions ({few})"),
                remedy: "write them, or leave such pictures out with `--uncaptioned leave-out`"
                    .to_owned(),
            },
        },
    );
    for table in &survey.tables {
        let rows = survey.pictures.values().filter(|found| !found.row.captions.is_empty()).count();
        let detail = format!("captions of {rows} pictures in all tables");
        report.said(table, "a table", Status::Found { detail });
    }
    if survey.tables.is_empty() {
        let detail = "not needed: captions, classes, splits and boxes in one place".to_owned();
        report.said("metadata.csv or metadata.jsonl", "a table", Status::Absent { detail });
    }
    if !survey.named_only.is_empty() {
        let (n, few) = (survey.named_only.len(), first_few(&survey.named_only));
        let detail = format!("{n} names without a picture ({few})");
        let remedy = "add the pictures, or take the rows out".to_owned();
        report.said("metadata.*", "names in tables", Status::Wrong { detail, remedy });
    }
    report.into_parts()
}

#[cfg(test)]
mod tests {
    use crate::check::check;
    use crate::layouts::{Kind, Reading};

    #[test]
    fn what_is_there_and_what_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let said = || check(dir.path(), Kind::Folder, Reading::default()).to_string();
        assert!(said().contains("MISSING") && said().contains("NAME.txt"), "{}", said());
        write("red/a.jpg", "x");
        assert!(said().contains("1 of 1 pictures have no captions (red/a.jpg)"), "{}", said());
        write("red/a.txt", "a red one\n");
        assert!(
            said().contains("1 pictures to train on") && said().contains("everything"),
            "{}",
            said()
        );
        write("metadata.csv", "file_name,text\nred/b.jpg,none\n");
        assert!(said().contains("1 names without a picture (red/b.jpg)"), "{}", said());
        write("metadata.csv", "name,text\nred/b.jpg,none\n");
        assert!(said().contains("WRONG") && said().contains("no file names"), "{}", said());
    }
}
