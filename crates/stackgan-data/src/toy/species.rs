//! The species: the common attributes of all birds of a class, and which classes are held out.
//!
//! A quarter of the species have wings of the body's colour and a quarter a crown of the body's
//! colour; the belly never has it. No two species share (body, wing, belly, crown), so no held-out
//! combination occurs in training.

use std::collections::BTreeSet;

use stackgan_noise::{Draws, Noise, Stream};

use super::Colour;
use crate::dataset::Split;
use crate::{Error, Result};

/// Length of a beak or a tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Length {
    Short,
    Long,
}

impl Length {
    /// The English adjective.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Long => "long",
        }
    }
}

/// Size of a bird.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Size {
    /// A small bird: round, with a big head and eye.
    Small,
    /// A large bird: drawn larger, leaner, with a smaller head.
    Large,
}

impl Size {
    /// The English adjective.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
        }
    }
}

/// The common attributes of all pictures of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Species {
    /// Head, back and breast.
    pub(super) body: Colour,
    /// Wing and tail.
    pub(super) wing: Colour,
    /// Belly; never the body's colour.
    pub(super) belly: Colour,
    /// Cap of the head.
    pub(super) crown: Colour,
    pub(super) beak: Colour,
    pub(super) beak_length: Length,
    pub(super) tail: Length,
    pub(super) size: Size,
    /// Whether the species is used for training or held out.
    pub(super) split: Split,
}

impl Species {
    /// A name in the style of CUB's class folders, such as `Yellow_bellied_Red_Finch`. It is not
    /// unique; the class number is.
    pub(super) fn class_name(&self) -> String {
        let kind = match (self.size, self.beak_length, self.tail) {
            (Size::Small, Length::Short, Length::Short) => "Finch",
            (Size::Small, Length::Short, Length::Long) => "Wagtail",
            (Size::Small, Length::Long, Length::Short) => "Creeper",
            (Size::Small, Length::Long, Length::Long) => "Warbler",
            (Size::Large, Length::Short, Length::Short) => "Grosbeak",
            (Size::Large, Length::Short, Length::Long) => "Thrush",
            (Size::Large, Length::Long, Length::Short) => "Starling",
            (Size::Large, Length::Long, Length::Long) => "Thrasher",
        };
        format!("{}_bellied_{}_{kind}", capital(self.belly), capital(self.body))
    }

    /// The four colours that distinguish species.
    pub(super) const fn plumage(&self) -> [Colour; 4] {
        [self.body, self.wing, self.belly, self.crown]
    }
}

fn capital(colour: Colour) -> String {
    let name = colour.name();
    let mut letters = name.chars();
    letters
        .next()
        .map_or_else(String::new, |c| c.to_ascii_uppercase().to_string() + letters.as_str())
}

/// Maximum number of species, well below the 3,584 colour combinations.
pub(super) const MAX_SPECIES: usize = 2000;

/// Creates `n` species from `seed`; one in six (at least one) is held out.
///
/// # Errors
/// [`Error::Config`] if `n` is below 2 or above [`MAX_SPECIES`].
pub(super) fn species(seed: u64, n: usize) -> Result<Vec<Species>> {
    if !(2..=MAX_SPECIES).contains(&n) {
        return Err(Error::config(
            "this number of toy species cannot be made",
            (format!("2 to {MAX_SPECIES} species"), n.to_string()),
            "choose another number of pictures",
        ));
    }
    let noise = Noise::new(seed);
    let mut draws = noise.draws(Stream::Toy, 0, 0);
    let mut held_out: Vec<usize> = (0..n).collect();
    noise.draws(Stream::Split, 0, 0).shuffle(&mut held_out);
    held_out.truncate((n / 6).max(1));
    let held_out: BTreeSet<usize> = held_out.into_iter().collect();

    let mut bodies = Colour::PLUMAGE;
    let mut taken = BTreeSet::new();
    let mut all = Vec::with_capacity(n);
    for i in 0..n {
        // Body colours are shuffled anew every eight species, so that each colour is equally
        // frequent.
        if i % bodies.len() == 0 {
            draws.shuffle(&mut bodies);
        }
        let body = bodies.get(i % bodies.len()).copied().unwrap_or(Colour::Red);
        let split = if held_out.contains(&i) { Split::Test } else { Split::Train };
        all.push(loop {
            let one = draw_species(&mut draws, body, split);
            if taken.insert(one.plumage()) {
                break one;
            }
        });
    }
    Ok(all)
}

fn draw_species(draws: &mut Draws, body: Colour, split: Split) -> Species {
    let wing = if draws.chance(0.25) { body } else { other(draws, &Colour::PLUMAGE, body) };
    let crown = if draws.chance(0.25) { body } else { other(draws, &Colour::PLUMAGE, body) };
    let belly = other(draws, &Colour::PLUMAGE, body);
    Species {
        body,
        wing,
        belly,
        crown,
        // A beak of the head's colour would be invisible.
        beak: other(draws, &Colour::BEAK, body),
        beak_length: if draws.chance(0.5) { Length::Short } else { Length::Long },
        tail: if draws.chance(0.5) { Length::Short } else { Length::Long },
        size: if draws.chance(0.5) { Size::Small } else { Size::Large },
        split,
    }
}

/// One of `colours` that is not `but`.
fn other(draws: &mut Draws, colours: &[Colour], but: Colour) -> Colour {
    loop {
        if let Some(&colour) = draws.choose(colours)
            && colour != but
        {
            return colour;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn species_are_distinct_balanced_and_split_by_class() {
        let all = species(3, 240).unwrap();
        let combos: BTreeSet<_> = all.iter().map(Species::plumage).collect();
        assert_eq!(combos.len(), 240);
        assert_eq!(all.iter().filter(|s| s.split == Split::Test).count(), 40);
        for c in Colour::PLUMAGE {
            assert_eq!(all.iter().filter(|s| s.body == c).count(), 30);
        }
        let same = |f: fn(&Species) -> bool| all.iter().filter(|s| f(s)).count();
        assert!((36..=84).contains(&same(|s| s.wing == s.body)));
        assert!((36..=84).contains(&same(|s| s.crown == s.body)));
        assert_eq!(same(|s| s.belly == s.body), 0);
        assert_eq!(same(|s| s.beak == s.body), 0);
        assert_ne!(all, species(4, 240).unwrap());
        assert_eq!(all, species(3, 240).unwrap());
    }

    #[test]
    fn too_few_and_too_many_are_refused_and_the_most_works() {
        assert!(species(0, 1).is_err());
        assert!(species(0, MAX_SPECIES + 1).is_err());
        assert_eq!(species(0, MAX_SPECIES).unwrap().len(), MAX_SPECIES);
    }
}
