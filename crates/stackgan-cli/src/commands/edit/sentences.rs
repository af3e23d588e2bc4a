//! A sentence with alternatives in braces, and its expansion to sentences.

use anyhow::Result;

use crate::exit::Problem;
use crate::output::beginning;

/// Maximum number of sentences of one expansion.
const MOST: usize = 256;

/// Fixed words with choices between them.
#[derive(Debug)]
pub(super) struct Sentences {
    /// The words before each choice.
    before: Vec<String>,
    /// At least one choice, each with at least two alternatives.
    choices: Vec<Vec<String>>,
    /// The words after the last choice.
    after: String,
}

/// The state of the parser.
enum At {
    Outside,
    /// Inside braces that began at this character, counted from 1.
    Inside(usize),
}

impl Sentences {
    /// Parses `a {red,blue} bird`.
    ///
    /// Spaces around an alternative are removed. A `\` escapes a brace, a comma or a `\`.
    ///
    /// # Errors
    /// Code 2 when braces do not match or are nested, contain fewer than two alternatives or an
    /// empty one, when there are no braces, or when the expansion has too many sentences.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (mut before, mut choices, mut alternatives) = (Vec::new(), Vec::new(), Vec::new());
        let (mut word, mut at) = (String::new(), At::Outside);
        let mut letters = (1usize..).zip(text.chars()).peekable();
        while let Some((place, letter)) = letters.next() {
            match (letter, &at) {
                ('\\', _) => {
                    match letters.next_if(|(_, next)| matches!(next, '{' | '}' | ',' | '\\')) {
                        Some((_, meant)) => word.push(meant),
                        None => word.push(letter),
                    }
                }
                ('{', At::Outside) => {
                    before.push(std::mem::take(&mut word));
                    at = At::Inside(place);
                }
                ('{', At::Inside(_)) => return Err(wrong(text, place, "braces within braces")),
                ('}', At::Outside) => return Err(wrong(text, place, "a `}` without its `{`")),
                (',' | '}', At::Inside(start)) => {
                    let alternative = std::mem::take(&mut word).trim().to_owned();
                    if alternative.is_empty() {
                        return Err(wrong(text, place, "an empty alternative before it"));
                    }
                    alternatives.push(alternative);
                    if letter == '}' {
                        if alternatives.len() < 2 {
                            return Err(wrong(text, *start, "braces with one alternative"));
                        }
                        choices.push(std::mem::take(&mut alternatives));
                        at = At::Outside;
                    }
                }
                _ => word.push(letter),
            }
        }
        if let At::Inside(start) = at {
            return Err(wrong(text, start, "a `{` without its `}`"));
        }
        if choices.is_empty() {
            let parts = ("alternatives in braces: `a {red,blue} bird`", shown(text));
            let remedy = "write some, or paint the sentence as it is: `stackgan generate`";
            let what = "there is nothing to choose from";
            return Err(Problem::usage(what, "option: --prompt", parts, remedy).into());
        }
        let count =
            choices.iter().try_fold(1usize, |count, choice| count.checked_mul(choice.len()));
        if count.is_none_or(|count| count > MOST) {
            let found = count.map_or_else(|| "many more".to_owned(), |count| count.to_string());
            let parts = (format!("alternatives for at most {MOST} sentences"), found);
            let (what, remedy) = ("too many sentences", "give fewer alternatives");
            return Err(Problem::usage(what, "option: --prompt", parts, remedy).into());
        }
        Ok(Self { before, choices, after: word })
    }

    /// Number of sentences.
    pub(super) fn count(&self) -> usize {
        self.choices.iter().map(Vec::len).product()
    }

    /// The sentences; the last choice varies fastest.
    pub(super) fn all(&self) -> Vec<String> {
        let sentence = |words: Vec<&str>| {
            let parts = self.before.iter().map(String::as_str).zip(words);
            let begun: String = parts.flat_map(|(before, word)| [before, word]).collect();
            (begun + &self.after).trim().to_owned()
        };
        combined(&self.choices).into_iter().map(sentence).collect()
    }

    /// The alternatives of the last choice.
    pub(super) fn columns(&self) -> &[String] {
        self.choices.last().map_or(&[], Vec::as_slice)
    }

    /// The combinations of all choices except the last, in the order of [`Self::all`]; a single
    /// empty one if there is only one choice.
    pub(super) fn combinations(&self) -> Vec<String> {
        let others = self.choices.split_last().map_or(&[][..], |(_, others)| others);
        combined(others).into_iter().map(|words| words.join(", ")).collect()
    }
}

/// Every combination of one word of each choice; the last choice varies fastest.
fn combined(choices: &[Vec<String>]) -> Vec<Vec<&str>> {
    let mut all = vec![Vec::new()];
    for choice in choices {
        let one_more = all.iter().flat_map(|words: &Vec<&str>| {
            choice.iter().map(move |word| [words.as_slice(), &[word.as_str()]].concat())
        });
        all = one_more.collect();
    }
    all
}

fn wrong(text: &str, place: usize, found: &str) -> anyhow::Error {
    let parts = (
        "alternatives in braces, parted by commas: `a {red,blue} bird`",
        format!("{found} at character {place} of {}", shown(text)),
    );
    let remedy = r"write `\{`, `\}` or `\,` where a brace or a comma in braces is meant as such";
    Problem::usage("the alternatives cannot be read", "option: --prompt", parts, remedy).into()
}

fn shown(text: &str) -> String {
    format!("`{}`", beginning(text, 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        Sentences::parse(text).unwrap().all()
    }

    #[test]
    fn braces_stand_for_every_combination() {
        assert_eq!(all("a {red,blue} bird"), ["a red bird", "a blue bird"]);
        assert_eq!(
            all("{a, the} {red,dark blue} bird"),
            ["a red bird", "a dark blue bird", "the red bird", "the dark blue bird"]
        );
        let three = Sentences::parse("{a,b}{c,d}{e,f}").unwrap();
        assert_eq!((three.count(), three.all().len()), (8, 8));
        assert_eq!(three.combinations(), ["a, c", "a, d", "b, c", "b, d"]);
        assert_eq!(three.columns(), ["e", "f"]);
        assert_eq!(Sentences::parse("{a,b}").unwrap().combinations(), [""]);
    }

    #[test]
    fn commas_outside_of_braces_and_what_stands_behind_a_backslash_are_letters() {
        assert_eq!(all("a small, {red,blue} bird"), ["a small, red bird", "a small, blue bird"]);
        assert_eq!(all(r"\{ {a\,b,c\}} \\ \x"), [r"{ a,b \ \x", r"{ c} \ \x"]);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        for (text, part) in [
            ("a {red,blue bird", "a `{` without its `}` at character 3"),
            ("a red} bird", "a `}` without its `{` at character 6"),
            ("a {red,{dark,light} blue} bird", "within braces at character 8"),
            ("a {,red} bird", "an empty alternative before it at character 4"),
            ("a {red, } bird", "an empty alternative"),
            ("a {} bird", "an empty alternative"),
            ("a {red} bird", "one alternative at character 3"),
            ("a red bird", "`a red bird`"),
        ] {
            let error = Sentences::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(Sentences::parse(&"{a,b}".repeat(8)).is_ok());
        for many in ["{a,b}".repeat(9), "{a,b}".repeat(100)] {
            let error = Sentences::parse(&many).unwrap_err().to_string();
            assert!(error.contains("too many sentences"), "{error}");
        }
    }
}
