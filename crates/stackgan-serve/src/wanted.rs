//! Parsing and validation of requests. Every field has a limit, and a refusal names the field and
//! the limit.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use stackgan_core::Stage;
use stackgan_core::generator_noise::LARGEST_SCALE;

use crate::Limits;
use crate::card::Card;
use crate::refusal::Refusal;
use crate::whole::Whole;

/// A valid request: each sentence with each seed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    /// The index of the model among the cards.
    pub(crate) model: usize,
    pub(crate) captions: Vec<String>,
    pub(crate) seeds: Vec<u64>,
    pub(crate) stage: Option<Stage>,
    pub(crate) z_scale: Option<f64>,
    pub(crate) eps_scale: Option<f64>,
}

/// The body of `/api/v1/generate`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Own {
    caption: Option<String>,
    captions: Option<Vec<String>>,
    seed: Option<Whole>,
    seeds: Option<Vec<Whole>>,
    model: Option<String>,
    stage: Option<Whole>,
    z_scale: Option<f64>,
    eps_scale: Option<f64>,
}

/// The body of `/v1/images/generations`, as sent by clients of `OpenAI`'s interface. Their other
/// fields (`quality`, `style`, `user`) are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Images {
    prompt: Option<String>,
    n: Option<Whole>,
    seed: Option<Whole>,
    size: Option<String>,
    model: Option<String>,
    response_format: Option<String>,
}

/// Parses the body of `/api/v1/generate`.
pub(crate) fn own(body: &[u8], cards: &[Card], limits: &Limits) -> Result<Wanted, Refusal> {
    let asked: Own = parse(body)?;
    let (name, captions) = match (asked.caption, asked.captions) {
        (Some(caption), None) => ("caption", vec![caption]),
        (None, Some(captions)) => ("captions", captions),
        (None, None) => return Err(field("caption", "a sentence", "none")),
        (Some(_), Some(_)) => return Err(field("caption", "`caption` or `captions`", "both")),
    };
    let seeds = match (asked.seed, asked.seeds) {
        (seed, None) => vec![seed.map_or(0, |Whole(seed)| seed)],
        (None, Some(seeds)) => seeds.into_iter().map(|Whole(seed)| seed).collect(),
        (Some(_), Some(_)) => return Err(field("seed", "`seed` or `seeds`", "both")),
    };
    let (model, card) = named(asked.model.as_deref(), cards)?;
    let stage = asked.stage.map(|Whole(stage)| staged(stage, card)).transpose()?;
    let wanted = Wanted {
        model,
        captions,
        seeds,
        stage,
        z_scale: scale("z_scale", asked.z_scale)?,
        eps_scale: scale("eps_scale", asked.eps_scale)?,
    };
    bounded(wanted, (name, "seeds"), limits)
}

/// Parses the body of `/v1/images/generations`: `n` pictures with consecutive seeds from `seed` on.
pub(crate) fn images(body: &[u8], cards: &[Card], limits: &Limits) -> Result<Wanted, Refusal> {
    let asked: Images = parse(body)?;
    if let Some(format) = asked.response_format.filter(|format| format != "b64_json") {
        return Err(field("response_format", "`b64_json`: no files are kept", &quoted(&format)));
    }
    let (model, card) = named(asked.model.as_deref(), cards)?;
    let stage = match asked.size.as_deref() {
        None | Some("auto") => None,
        Some("64x64") => Some(Stage::One),
        Some("256x256") if card.last_stage == Stage::Two => Some(Stage::Two),
        Some(size) => {
            let expected = match card.last_stage {
                Stage::One => "`64x64` or `auto`: the model has Stage-I alone",
                Stage::Two => "`64x64`, `256x256` or `auto`",
            };
            return Err(field("size", expected, &quoted(size)));
        }
    };
    let count = asked.n.map_or(1, |Whole(count)| count);
    let most = limits.pictures as u64;
    if !(1..=most).contains(&count) {
        return Err(field("n", &format!("1 to {most}"), &count.to_string()));
    }
    let first = asked.seed.map_or(0, |Whole(seed)| seed);
    let Some(last) = first.checked_add(count - 1) else {
        return Err(field("seed", "a number that `n` can be added to", &first.to_string()));
    };
    let captions = vec![asked.prompt.ok_or_else(|| field("prompt", "a sentence", "none"))?];
    let seeds = (first..=last).collect();
    let wanted = Wanted { model, captions, seeds, stage, z_scale: None, eps_scale: None };
    bounded(wanted, ("prompt", "n"), limits)
}

/// The fields of both kinds of requests.
const FIELDS: [&str; 12] = [
    "caption",
    "captions",
    "seed",
    "seeds",
    "model",
    "stage",
    "z_scale",
    "eps_scale",
    "prompt",
    "n",
    "size",
    "response_format",
];

/// An object alone: of an array, serde would take the fields by their places.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let refused = |status, field, why: &str| {
        let message = format!("the body cannot be read as JSON of this request: {}", cut(why));
        Refusal::new(status, field, message)
    };
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut reader);
    let read = read.map_err(|error| (field_of(&error.path().to_string()), error.into_inner()));
    match read.and_then(|asked| reader.end().map(|()| asked).map_err(|error| ("body", error))) {
        Ok(asked) if body.trim_ascii_start().starts_with(b"{") => Ok(asked),
        Ok(_) => Err(refused(422, "body", "expected an object, found an array")),
        Err((field, error)) => {
            let why = error.to_string().replace("expected f64", "expected a number");
            let why = if field == "body" { why } else { format!("`{field}`: {why}") };
            Err(refused(if error.is_data() { 422 } else { 400 }, field, &why))
        }
    }
}

/// The field that a path such as `captions[2]` leads to; the whole body if there is no such field.
fn field_of(path: &str) -> &'static str {
    let name = path.split(['[', '.']).next().unwrap_or_default();
    FIELDS.into_iter().find(|field| *field == name).unwrap_or("body")
}

/// Shortens the reason why a body was not read. serde's message can quote a name of any length; the
/// expectation and the position are at its end.
fn cut(why: &str) -> String {
    const SHOWN: (usize, usize) = (60, 140);
    let characters: Vec<char> = why.chars().collect();
    let shown = |part: Option<&[char]>| part.unwrap_or_default().iter().collect::<String>();
    match characters.len().checked_sub(SHOWN.0 + SHOWN.1) {
        None | Some(0) => why.to_owned(),
        Some(beyond) => format!(
            "{}…{}",
            shown(characters.get(..SHOWN.0)),
            shown(characters.get(SHOWN.0 + beyond..))
        ),
    }
}

/// The model with this name, by default the first.
fn named<'a>(name: Option<&str>, cards: &'a [Card]) -> Result<(usize, &'a Card), Refusal> {
    let mut all = cards.iter().enumerate();
    match name {
        None => all.next(),
        Some(name) => all.find(|(_, card)| card.id == name),
    }
    .ok_or_else(|| {
        field("model", "one of those that `/v1/models` lists", &quoted(name.unwrap_or_default()))
    })
}

fn staged(number: u64, card: &Card) -> Result<Stage, Refusal> {
    let stage = u8::try_from(number).ok().and_then(|number| Stage::try_from(number).ok());
    stage.filter(|stage| *stage <= card.last_stage).ok_or_else(|| {
        let expected = match card.last_stage {
            Stage::One => "1: the model has Stage-I alone",
            Stage::Two => "1 or 2",
        };
        field("stage", expected, &number.to_string())
    })
}

fn scale(name: &'static str, scale: Option<f64>) -> Result<Option<f64>, Refusal> {
    match scale {
        Some(value) if !(0.0..=LARGEST_SCALE).contains(&value) => {
            Err(field(name, &format!("0 to {LARGEST_SCALE}"), &value.to_string()))
        }
        _ => Ok(scale),
    }
}

/// Checks the sentences and the number of pictures. The space around a sentence is no part of it, as
/// on the command line.
fn bounded(
    mut wanted: Wanted,
    (captions, seeds): (&'static str, &'static str),
    limits: &Limits,
) -> Result<Wanted, Refusal> {
    let most = limits.pictures;
    for (name, count) in [(captions, wanted.captions.len()), (seeds, wanted.seeds.len())] {
        if !(1..=most).contains(&count) {
            return Err(field(name, &format!("1 to {most}"), &count.to_string()));
        }
    }
    let count = wanted.captions.len() * wanted.seeds.len();
    if count > most {
        let expected = format!("at most {most} pictures, each sentence with each seed");
        return Err(field(seeds, &expected, &count.to_string()));
    }
    for caption in &mut wanted.captions {
        *caption = caption.trim().to_owned();
        let length = caption.chars().count();
        if caption.is_empty() {
            return Err(field(captions, "a sentence", "a blank one"));
        }
        if length > limits.caption {
            let expected = format!("at most {} characters", limits.caption);
            return Err(field(captions, &expected, &length.to_string()));
        }
    }
    Ok(wanted)
}

fn field(name: &'static str, expected: &str, found: &str) -> Refusal {
    Refusal::new(422, name, format!("`{name}` cannot be used: expected {expected}, found {found}"))
}

/// A quotation from a request for a response, truncated.
fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(60).collect();
    format!("`{}`", shown.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::Scales;

    fn cards() -> Vec<Card> {
        let card = |id: &str, last_stage| Card {
            id: id.to_owned(),
            dataset: "toy".to_owned(),
            last_stage,
            last: Scales { z_scale: 1.0, eps_scale: 1.0 },
            scales: Vec::new(),
            sha256: String::new(),
        };
        vec![card("both", Stage::Two), card("low", Stage::One)]
    }

    fn asked(body: &str) -> Result<Wanted, Refusal> {
        own(body.as_bytes(), &cards(), &Limits::default())
    }

    fn openai(body: &str) -> Result<Wanted, Refusal> {
        images(body.as_bytes(), &cards(), &Limits::default())
    }

    #[test]
    fn what_can_be_painted_is_taken() {
        let wanted = asked(r#"{"caption": " a red bird\n"}"#).unwrap();
        assert_eq!((wanted.model, wanted.seeds, wanted.stage), (0, vec![0], None));
        let wanted = asked(
            r#"{"captions": ["a", "b"], "seeds": [3, 18446744073709551615], "model": "low", "stage": 1, "z_scale": 0, "eps_scale": 4}"#,
        )
        .unwrap();
        assert_eq!((wanted.model, wanted.seeds.len(), wanted.z_scale), (1, 2, Some(0.0)));
        let wanted =
            openai(r#"{"prompt": "a", "n": 3, "seed": 7, "size": "64x64", "quality": "hd"}"#);
        assert_eq!(
            wanted.as_ref().map(|w| (w.seeds.clone(), w.stage)).unwrap(),
            (vec![7, 8, 9], Some(Stage::One))
        );
        assert_eq!(openai(r#"{"prompt": "a"}"#).unwrap().stage, None);
    }

    #[test]
    fn whole_numbers_may_have_a_point() {
        let body =
            r#"{"caption": "a", "seeds": [3.0, 1e2, 562949953421312.0, -0.0], "stage": 1.0}"#;
        let wanted = asked(body).unwrap();
        assert_eq!(wanted.seeds, [3, 100, 1 << 49, 0]);
        assert_eq!(wanted.stage, Some(Stage::One));
        assert_eq!(openai(r#"{"prompt": "a", "n": 2.0, "seed": 7.0}"#).unwrap().seeds, [7, 8]);
        for seed in ["1.5", "-1.0", "9007199254740993.0", "1e99", "true"] {
            let refusal = asked(&format!(r#"{{"caption": "a", "seed": {seed}}}"#)).unwrap_err();
            assert_eq!((refusal.status, refusal.field), (422, "seed"), "{seed}");
            let expected = "expected a whole number from 0 to 2^64 - 1";
            assert!(refusal.message.contains(expected), "{}", refusal.message);
        }
    }

    #[test]
    fn types_are_told_in_words_with_their_fields() {
        for (body, name) in [
            (r#"{"caption": ["a"]}"#, "caption"),
            (r#"{"captions": "a"}"#, "captions"),
            (r#"{"captions": ["a", 3]}"#, "captions"),
            (r#"{"caption": "a", "seed": 18446744073709551616}"#, "seed"),
            (r#"{"caption": "a", "path": "x"}"#, "body"),
            ("{", "body"),
        ] {
            let refusal = asked(body).unwrap_err();
            assert_eq!(refusal.field, name, "{body}: {}", refusal.message);
        }
        for (body, said) in [
            (r#"{"caption": "a", "seed": -1}"#, "`-1`, expected a whole number from 0"),
            (r#"{"caption": "a", "z_scale": "b"}"#, "\"b\", expected a number"),
        ] {
            let refusal = asked(body).unwrap_err();
            assert!(refusal.status == 422 && refusal.message.contains(said), "{}", refusal.message);
        }
    }

    #[test]
    fn what_cannot_be_painted_names_field_and_bound() {
        let long = "x".repeat(1001);
        let many = format!("{:?}", vec!["a"; 9]);
        for (body, name) in [
            (r#"{}"#, "caption"),
            (r#"{"caption": "  "}"#, "caption"),
            (r#"{"caption": "a", "captions": ["b"]}"#, "caption"),
            (r#"{"captions": []}"#, "captions"),
            (r#"{"captions": ["a", " "]}"#, "captions"),
            (&format!(r#"{{"captions": {many}}}"#), "captions"),
            (&format!(r#"{{"caption": "{long}"}}"#), "caption"),
            (r#"{"caption": "a", "seeds": []}"#, "seeds"),
            (r#"{"caption": "a", "seeds": [1,2,3,4,5,6,7,8,9]}"#, "seeds"),
            (r#"{"captions": ["a","b","c"], "seeds": [1,2,3]}"#, "seeds"),
            (r#"{"caption": "a", "seed": 1, "seeds": [1]}"#, "seed"),
            (r#"{"caption": "a", "stage": 0}"#, "stage"),
            (r#"{"caption": "a", "stage": 3}"#, "stage"),
            (r#"{"caption": "a", "stage": 258}"#, "stage"),
            (r#"{"caption": "a", "stage": 2, "model": "low"}"#, "stage"),
            (r#"{"caption": "a", "z_scale": -0.1}"#, "z_scale"),
            (r#"{"caption": "a", "eps_scale": 4.5}"#, "eps_scale"),
            (r#"{"caption": "a", "model": "../../etc/passwd"}"#, "model"),
        ] {
            let refusal = asked(body).unwrap_err();
            assert_eq!((refusal.status, refusal.field), (422, name), "{body}: {}", refusal.message);
            assert!(refusal.message.contains(&format!("`{name}`")), "{body}: {}", refusal.message);
        }
        for (body, name) in [
            (r#"{"n": 1}"#, "prompt"),
            (r#"{"prompt": "a", "n": 0}"#, "n"),
            (r#"{"prompt": "a", "n": 9}"#, "n"),
            (r#"{"prompt": "a", "n": 1000000000}"#, "n"),
            (r#"{"prompt": "a", "n": 2, "seed": 18446744073709551615}"#, "seed"),
            (r#"{"prompt": "a", "size": "1024x1024"}"#, "size"),
            (r#"{"prompt": "a", "size": "256x256", "model": "low"}"#, "size"),
            (r#"{"prompt": "a", "response_format": "url"}"#, "response_format"),
        ] {
            let refusal = openai(body).unwrap_err();
            assert_eq!((refusal.status, refusal.field), (422, name), "{body}: {}", refusal.message);
        }
    }

    #[test]
    fn what_is_no_json_of_the_kind_is_refused() {
        for (body, status) in [
            ("", 400),
            ("{", 400),
            ("\u{0}", 400),
            (&format!("{{\"caption\": {}", "[".repeat(60_000)), 422),
            ("[]", 422),
            (r#"["a red bird", null, 1]"#, 422),
            (" [] ", 422),
            ("null", 422),
            (r#"{"caption": 3}"#, 422),
            (r#"{"caption": "a", "seed": -1}"#, 422),
            (r#"{"caption": "a", "seed": 1.5}"#, 422),
            (r#"{"caption": "a", "seed": 1e99}"#, 422),
            (r#"{"caption": "a", "z_scale": "NaN"}"#, 422),
            (r#"{"caption": "a", "z_scale": NaN}"#, 400),
            (r#"{"caption": "a", "z_scale": 1e999}"#, 400),
            (r#"{"caption": "a", "path": "x"}"#, 422),
            (r#"{"caption": "a", "caption": "b"}"#, 422),
        ] {
            let refusal = asked(body).unwrap_err();
            assert_eq!(refusal.status, status, "{body:.60}: {}", refusal.message);
            assert!(refusal.message.len() < 400, "{}", refusal.message);
        }
        assert_eq!(openai(r#"["a red bird", 1]"#).unwrap_err().status, 422);
        assert!(asked(" \n{\"caption\": \"a\"} ").is_ok());
    }

    #[test]
    fn a_name_of_any_length_is_said_back_in_part() {
        let long = "é".repeat(25_000);
        for body in [format!(r#"{{"{long}": 1}}"#), format!(r#"{{"seed": "{long}"}}"#)] {
            let message = asked(&body).unwrap_err().message;
            assert!(message.chars().count() < 260, "{message}");
            assert!(message.contains("é…") && message.contains("at line 1 column"), "{message}");
        }
        let message = asked(r#"{"sed": 1}"#).unwrap_err().message;
        assert!(message.contains("`sed`") && message.contains("`captions`"), "{message}");
        let (least, most) = ("x".repeat(200), "x".repeat(201));
        assert_eq!((cut(&least), cut(&most).chars().count()), (least, 201));
    }
}
