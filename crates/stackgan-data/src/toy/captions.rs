//! Ten sentences about a picture, all true, each about different attributes.
//!
//! How often a part is named follows what the encoder needs: the body most, wings and crown nearly
//! as often as the belly. Sentences are lower-case ASCII of at most [`MAX_LEN`] characters; the
//! char-CNN-RNN reads 201.

use stackgan_noise::{Draws, Noise, Stream};

use super::Colour;
use super::backdrop::{Background, Support};
use super::grammar::Named;
use super::picture::{Facing, Picture, Pose};
use super::species::{Length, Size};
use crate::error::joined;

/// Number of captions of one picture.
pub(super) const PER_PICTURE: usize = 10;

/// Maximum length of a caption in characters.
pub(super) const MAX_LEN: usize = 190;

/// The attributes that a caption names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mentions {
    /// Colours of body, wing, belly and crown.
    pub(super) named: Named,
    pub(super) beak: Option<Colour>,
    pub(super) beak_length: Option<Length>,
    pub(super) tail: Option<Length>,
    /// Colour of the tail (that of the wings).
    pub(super) tail_colour: Option<Colour>,
    pub(super) size: Option<Size>,
    pub(super) facing: Option<Facing>,
    pub(super) background: Option<Background>,
    pub(super) pose: Option<Pose>,
}

/// A sentence and what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caption {
    pub(super) text: String,
    /// The attributes that it names, all true of the picture.
    pub(super) mentions: Mentions,
}

/// The [`PER_PICTURE`] captions of picture `index` of `seed`, all different.
pub(super) fn captions(seed: u64, index: usize, picture: &Picture) -> Vec<Caption> {
    let mut draws = Noise::new(seed).draws(Stream::ToyCaption, 0, index as u64);
    let mut all: Vec<Caption> = Vec::with_capacity(PER_PICTURE);
    while all.len() < PER_PICTURE {
        let mentions = choose(&mut draws, picture);
        let text = sentence(&mut draws, &mentions);
        if text.len() <= MAX_LEN && all.iter().all(|c| c.text != text) {
            all.push(Caption { text, mentions });
        }
    }
    all
}

/// A part that can be listed after "with".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Body(Colour),
    Wing(Colour),
    Belly(Colour),
    Crown(Colour),
    Beak(Option<Length>, Option<Colour>),
    Tail(Length, Option<Colour>),
}

/// Chooses the attributes that the next caption names.
fn choose(draws: &mut Draws, picture: &Picture) -> Mentions {
    let s = &picture.species;
    let mut parts = [0, 1, 2, 3, 4];
    draws.shuffle(&mut parts);
    let mut mentions = Mentions::default();
    let mut count = 0;
    for part in parts {
        let p = [0.70, 0.65, 0.65, 0.40, 0.20].get(part).copied().unwrap_or(0.0);
        if count == 3 || !draws.chance(p) {
            continue;
        }
        count += 1;
        match part {
            0 => mentions.named.wing = Some(s.wing),
            1 => mentions.named.belly = Some(s.belly),
            2 => mentions.named.crown = Some(s.crown),
            3 => {
                let which = draws.below(4);
                mentions.beak_length = (which != 0).then_some(s.beak_length);
                mentions.beak = (which != 1).then_some(s.beak);
            }
            _ => {
                mentions.tail = Some(s.tail);
                mentions.tail_colour = draws.chance(0.3).then_some(s.wing);
            }
        }
    }
    mentions.named.body = (count == 0 || draws.chance(0.85)).then_some(s.body);
    mentions.size = draws.chance(0.3).then_some(s.size);
    mentions.facing = draws.chance(0.2).then_some(picture.facing);
    mentions.background = draws.chance(0.2).then_some(picture.background);
    mentions.pose = draws.chance(0.15).then_some(picture.pose);
    mentions
}

fn sentence(draws: &mut Draws, mentions: &Mentions) -> String {
    let mut items = items(draws, mentions);
    let circumstances = circumstances(draws, mentions);
    // The body's colour is the bird's adjective, its predicate, or one of the listed parts.
    let mut adjective = mentions.named.body;
    let mut predicate = None;
    if let Some(body) = mentions.named.body {
        match draws.below(8) {
            0 => {
                items.insert(0, Item::Body(body));
                adjective = None;
            }
            1 | 2 => {
                predicate = Some(body);
                adjective = None;
            }
            _ => {}
        }
    }
    let size = mentions.size.map(|s| size_word(draws, s));
    let bird = [size, adjective.map(Colour::name), Some("bird")];
    let bird: Vec<&str> = bird.into_iter().flatten().collect();
    let bird = bird.join(" ");

    let mut text = match predicate {
        Some(colour) => predicated(draws, &bird, colour, &items),
        None if items.is_empty() => bare(draws, &bird),
        None => listed(draws, &bird, &items),
    };
    if !circumstances.is_empty() {
        // "facing left, black wings on a red bird" would be odd.
        let front = circumstances.len() == 1 && !text.contains(" on a") && draws.chance(0.3);
        let clause = circumstances.join(", ");
        text = if front { format!("{clause}, {text}") } else { format!("{text}, {clause}") };
    }
    if draws.chance(0.6) {
        text.push('.');
    }
    text
}

/// "this bird is red with black wings and a yellow belly"
fn predicated(draws: &mut Draws, bird: &str, colour: Colour, items: &[Item]) -> String {
    let colour = colour.name();
    let subject = pick(draws, &["this", "the"]);
    let start = match draws.below(3) {
        0 => format!("{} {bird} that is {colour}", article(bird)),
        1 => format!("{} {bird} colored {colour}", article(bird)),
        _ => format!("{subject} {bird} is {colour}"),
    };
    if items.is_empty() {
        start
    } else if start.contains(" that ") || draws.chance(0.7) {
        format!("{start} with {}", list(draws, items))
    } else if start.contains(" colored ") {
        format!("{start}, having {}", list(draws, items))
    } else {
        format!("{start} and has {}", list(draws, items))
    }
}

/// A sentence that only mentions the bird.
fn bare(draws: &mut Draws, bird: &str) -> String {
    let start = match draws.below(4) {
        0 => "this is ",
        1 => "there is ",
        2 => "a picture of ",
        _ => "",
    };
    format!("{start}{} {bird}", article(bird))
}

/// A sentence that lists a bird and its parts.
fn listed(draws: &mut Draws, bird: &str, items: &[Item]) -> String {
    let a = article(bird);
    match draws.below(12) {
        0..=2 => format!("{a} {bird} with {}", list(draws, items)),
        3..=5 => format!("{} {bird} has {}", pick(draws, &["this", "the"]), list(draws, items)),
        6 => format!("this is {a} {bird} with {}", list(draws, items)),
        7 => format!("{} on {a} {bird}", list(draws, items)),
        8 => format!("there is {a} {bird} that has {}", list(draws, items)),
        9 => format!("{a} {bird} {}", clauses(draws, "whose", items)),
        10 => format!("this is {a} {bird}; {}", clauses(draws, "its", items)),
        _ => of_the_bird(draws, bird, items),
    }
}

/// "whose wings are black and whose belly is yellow"
fn clauses(draws: &mut Draws, owner: &str, items: &[Item]) -> String {
    let one = |item: &Item| format!("{owner} {}", clause(draws, *item));
    joined(&items.iter().map(one).collect::<Vec<_>>(), "and")
}

/// "the wings of this red bird are black, and it has a white crown"
fn of_the_bird(draws: &mut Draws, bird: &str, items: &[Item]) -> String {
    let Some((first, rest)) = items.split_first() else { return bare(draws, bird) };
    let clause = clause(draws, *first);
    let (subject, verb, state) = match (clause.split_once(" are "), clause.split_once(" is ")) {
        (Some((s, p)), _) => (s, "are", p),
        (None, Some((s, p))) => (s, "is", p),
        (None, None) => return bare(draws, bird),
    };
    let start = format!("the {subject} of this {bird} {verb} {state}");
    if rest.is_empty() { start } else { format!("{start}, and it has {}", list(draws, rest)) }
}

/// The parts to list, in a random order.
fn items(draws: &mut Draws, mentions: &Mentions) -> Vec<Item> {
    let Mentions { named, beak, beak_length, tail, tail_colour, .. } = *mentions;
    let beak = (beak.is_some() || beak_length.is_some()).then_some(Item::Beak(beak_length, beak));
    let all = [
        named.wing.map(Item::Wing),
        named.belly.map(Item::Belly),
        named.crown.map(Item::Crown),
        beak,
        tail.map(|length| Item::Tail(length, tail_colour)),
    ];
    let mut items: Vec<Item> = all.into_iter().flatten().collect();
    draws.shuffle(&mut items);
    items
}

/// "black wings, a yellow belly and a long beak"
fn list(draws: &mut Draws, items: &[Item]) -> String {
    let phrases: Vec<String> = items.iter().map(|i| phrase(draws, *i)).collect();
    joined(&phrases, "and")
}

/// "a yellow belly"
fn phrase(draws: &mut Draws, item: Item) -> String {
    let form = draws.below(6);
    match item {
        Item::Body(c) if form == 0 => format!("a body that is {}", c.name()),
        Item::Body(c) => format!("a {} body", c.name()),
        Item::Wing(c) if form == 0 => format!("wings that are {}", c.name()),
        Item::Wing(c) if form == 1 => format!("{} wing feathers", c.name()),
        Item::Wing(c) => format!("{} wings", c.name()),
        Item::Belly(c) if form == 0 => format!("a belly that is {}", c.name()),
        Item::Belly(c) if form == 1 => format!("a {} underside", c.name()),
        Item::Belly(c) if form == 2 => format!("a {} stomach", c.name()),
        Item::Belly(c) => format!("a {} belly", c.name()),
        Item::Crown(c) if form == 0 => format!("a crown that is {}", c.name()),
        Item::Crown(c) if form == 1 => format!("a {} cap", c.name()),
        Item::Crown(c) if form == 2 => format!("a {} cap on its head", c.name()),
        Item::Crown(c) => format!("a {} crown", c.name()),
        Item::Beak(length, colour) => {
            let noun = if form < 2 { "bill" } else { "beak" };
            described(length, colour, noun)
        }
        Item::Tail(length, colour) => described(Some(length), colour, "tail"),
    }
}

/// "a long orange beak"
fn described(length: Option<Length>, colour: Option<Colour>, noun: &str) -> String {
    let words = [length.map(Length::name), colour.map(Colour::name), Some(noun)];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    let words = words.join(" ");
    format!("{} {words}", article(&words))
}

/// "belly is yellow"
fn clause(draws: &mut Draws, item: Item) -> String {
    match item {
        Item::Body(c) => format!("body is {}", c.name()),
        Item::Wing(c) => format!("wings are {}", c.name()),
        Item::Belly(c) => format!("{} is {}", pick(draws, &["belly", "underside"]), c.name()),
        Item::Crown(c) => format!("{} is {}", pick(draws, &["crown", "cap"]), c.name()),
        Item::Beak(length, colour) => {
            let state = [length.map(Length::name), colour.map(Colour::name)];
            let state: Vec<&str> = state.into_iter().flatten().collect();
            format!("{} is {}", pick(draws, &["beak", "bill"]), state.join(" and "))
        }
        Item::Tail(length, None) => format!("tail is {}", length.name()),
        Item::Tail(length, Some(c)) => format!("tail is {} and {}", length.name(), c.name()),
    }
}

/// Pose, place and direction.
fn circumstances(draws: &mut Draws, mentions: &Mentions) -> Vec<&'static str> {
    let place = mentions.background.map(|b| {
        let words: &[&'static str] = match b {
            Background::Sky => &["against the sky", "in front of the open sky", "under the sky"],
            Background::Leaves => &["among leaves", "surrounded by leaves", "in the foliage"],
            Background::Water => &["by the water", "near the water", "in front of a lake"],
            Background::Snow => &["on a snowy day", "in winter", "in a snowy landscape"],
            Background::Meadow => {
                &["in a meadow", "in front of a grassy field", "in the grassland"]
            }
            Background::Dusk => &["at sunset", "at dusk", "in the evening"],
        };
        pick(draws, words)
    });
    let pose = mentions.pose.map(|p| {
        let words: &[&'static str] = match p {
            Pose::Upright => &["sitting upright on a branch", "perched upright on a branch"],
            Pose::WingLifted => &["lifting its wing on a branch", "on a branch with a raised wing"],
            Pose::Perched | Pose::Standing => match p.support() {
                Support::Branch => {
                    &["perched on a branch", "sitting on a branch", "resting on a branch"]
                }
                Support::Ground => &["standing on its two legs", "standing", "standing still"],
            },
        };
        pick(draws, words)
    });
    let facing = mentions.facing.map(|f| {
        let words: &[&'static str] = match f {
            Facing::Left => &["facing left", "looking to the left", "turned to the left"],
            Facing::Right => &["facing right", "looking to the right", "turned to the right"],
        };
        pick(draws, words)
    });
    [pose, place, facing].into_iter().flatten().collect()
}

fn size_word(draws: &mut Draws, size: Size) -> &'static str {
    match size {
        Size::Small => pick(draws, &["small", "small", "little"]),
        Size::Large => pick(draws, &["large", "large", "big"]),
    }
}

/// One of several wordings.
fn pick(draws: &mut Draws, words: &[&'static str]) -> &'static str {
    draws.choose(words).copied().unwrap_or("")
}

/// "a" or "an", depending on the following word.
fn article(next: &str) -> &'static str {
    if next.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
