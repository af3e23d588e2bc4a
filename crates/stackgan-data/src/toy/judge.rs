//! The judge: determines which colours the parts of a picture's bird have. It measures how well
//! generated birds follow their captions.
//!
//! The judge draws birds itself and learns from their label maps, for each facing, where a part
//! certainly is: the pixels, relative to the part's centre, that show it in at least 85 % of the
//! birds. In a judged picture each such pixel is assigned the nearest of the eight plumage colours
//! in Lab, as they look when drawn, and the part gets the most frequent colour. The facing and the
//! centres of the parts come from linear readouts of a 16x16 map of differences from the
//! background, because training crops at random and generated birds are not all in one place.
//!
//! On drawn birds that the judge has not seen the agreement is near 1; a test checks this. Chance
//! level is 1/8.

use rayon::prelude::*;

use super::Colour;
use super::anatomy::{Anatomy, Lesson, PENALTY, difference_map};
use super::colour::lab;
use super::grammar::Named;
use super::picture::{Facing, Picture};
use super::ridge::{self, Weights};
use super::species::species;
use super::view::SIDE;
use crate::dataset::Split;
use crate::{Error, Result};

/// Number of scenes that the judge draws, each once per facing.
const SCENES: usize = 150;

/// The judge's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The direction in which the bird faces.
    pub facing: Facing,
    /// Colour of head, back and breast.
    pub body: Colour,
    /// Colour of the wing.
    pub wing: Colour,
    /// Colour of the belly.
    pub belly: Colour,
    /// Colour of the crown.
    pub crown: Colour,
}

impl Judged {
    fn parts(&self) -> [Colour; 4] {
        [self.body, self.wing, self.belly, self.crown]
    }
}

/// Whether the generated colours are the named ones. For body, wing, belly and crown, one verdict
/// per picture whose caption names that part's colour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// The verdicts, in the order of [`Agreement::PARTS`].
    pub verdicts: [Vec<bool>; 4],
}

impl Agreement {
    /// The parts, in order.
    pub const PARTS: [&'static str; 4] = ["body", "wing", "belly", "crown"];

    /// The share of correct verdicts for each part, in [0, 1]; `None` if no caption names it.
    #[must_use]
    pub fn rates(&self) -> [Option<f64>; 4] {
        self.verdicts.each_ref().map(|verdicts| {
            let right = verdicts.iter().filter(|right| **right).count();
            (!verdicts.is_empty()).then(|| right as f64 / verdicts.len() as f64)
        })
    }

    /// Number of captions that name each part.
    #[must_use]
    pub fn counts(&self) -> [usize; 4] {
        self.verdicts.each_ref().map(Vec::len)
    }
}

/// Recognises the parts of a drawn bird and their colours.
#[derive(Clone, Debug)]
pub struct Judge {
    left: Anatomy,
    right: Anatomy,
    /// Mean Lab value of each plumage colour as drawn.
    references: [[f64; 3]; 8],
    /// Readout of the facing; positive means right.
    facing: Weights,
}

impl Judge {
    /// Creates a judge that has learned from birds drawn with `seed`. Takes seconds; equal seeds
    /// give equal judges.
    ///
    /// # Errors
    /// [`Error::Config`] if the birds of this seed leave a part without certain pixels (never
    /// observed).
    pub fn new(seed: u64) -> Result<Self> {
        let all = species(seed, SCENES * 6 / 5)?;
        let seen = all.into_iter().filter(|s| s.split == Split::Train).take(SCENES);
        let pictures: Vec<Picture> = seen
            .enumerate()
            .flat_map(|(i, s)| {
                let one = Picture::new(seed, i, s);
                [Facing::Left, Facing::Right].map(|facing| {
                    let mut one = one.clone();
                    one.facing = facing;
                    one
                })
            })
            .collect();
        let lessons: Vec<Vec<Lesson<'_>>> = (pictures.par_iter().enumerate())
            .map(|(i, picture)| Lesson::of(seed, i, picture))
            .collect::<Result<_>>()?;
        let lessons: Vec<Lesson<'_>> = lessons.into_iter().flatten().collect();
        let learn = |facing| Anatomy::learn(&lessons, facing).ok_or_else(|| unusable(seed));
        let (left, right) = (learn(Facing::Left)?, learn(Facing::Right)?);
        let references = references(&lessons, &left, &right);
        let rows: Vec<_> = lessons.iter().map(|l| (l.map.clone(), vec![l.side()])).collect();
        let facing = ridge::fit(&rows, PENALTY).and_then(|mut w| w.pop());
        Ok(Self { left, right, references, facing: facing.ok_or_else(|| unusable(seed))? })
    }

    /// Judges a 64x64 RGB picture (12,288 bytes, row by row). Reduce a larger one first, by the
    /// means of squares.
    ///
    /// # Errors
    /// [`Error::Config`] if `rgb` has another length.
    pub fn parts(&self, rgb: &[u8]) -> Result<Judged> {
        if rgb.len() != SIDE * SIDE * 3 {
            return Err(Error::config(
                "the judge of toy birds cannot look at this picture",
                (
                    format!("{SIDE}x{SIDE} RGB pixels, {} bytes", SIDE * SIDE * 3),
                    format!("{} bytes", rgb.len()),
                ),
                "reduce the picture to 64x64 first, by the means of squares",
            ));
        }
        let map = difference_map(rgb);
        let (facing, anatomy) = if ridge::predict(&self.facing, &map) > 0.0 {
            (Facing::Right, &self.right)
        } else {
            (Facing::Left, &self.left)
        };
        let centres = anatomy.centres(&map);
        let mut colours = [Colour::Red; 4];
        for (colour, pixels) in colours.iter_mut().zip(anatomy.pixels(rgb, &centres)) {
            *colour = self.majority(&pixels);
        }
        let [body, wing, belly, crown] = colours;
        Ok(Judged { facing, body, wing, belly, crown })
    }

    /// Compares pictures with the colours that their captions name.
    ///
    /// # Errors
    /// As [`Judge::parts`].
    pub fn agreement(&self, pictures: impl Iterator<Item = (Vec<u8>, Named)>) -> Result<Agreement> {
        let mut agreement = Agreement::default();
        for (rgb, named) in pictures {
            self.look(&rgb, named, &mut agreement)?;
        }
        Ok(agreement)
    }

    /// Compares one picture with its named colours, and adds the verdicts to `agreement`.
    ///
    /// # Errors
    /// As [`Judge::parts`].
    pub fn look(&self, rgb: &[u8], named: Named, agreement: &mut Agreement) -> Result<()> {
        let judged = self.parts(rgb)?.parts();
        let Named { body, wing, belly, crown } = named;
        let named = [body, wing, belly, crown].into_iter().zip(judged);
        for (verdicts, (named, judged)) in agreement.verdicts.iter_mut().zip(named) {
            verdicts.extend(named.map(|named| named == judged));
        }
        Ok(())
    }

    /// The colour that is nearest to most of `pixels`.
    fn majority(&self, pixels: &[[f64; 3]]) -> Colour {
        let mut votes = [0usize; 8];
        for pixel in pixels {
            let seen = lab(*pixel);
            let distance = |reference: &[f64; 3]| -> f64 {
                reference.iter().zip(seen).map(|(a, b)| (a - b).powi(2)).sum()
            };
            let nearest = (votes.iter_mut().zip(&self.references))
                .min_by(|(_, a), (_, b)| distance(a).total_cmp(&distance(b)));
            if let Some((vote, _)) = nearest {
                *vote += 1;
            }
        }
        let most = votes.iter().zip(Colour::PLUMAGE).rev().max_by_key(|(v, _)| **v);
        most.map_or(Colour::Red, |(_, c)| c)
    }
}

fn unusable(seed: u64) -> Error {
    Error::config(
        "the judge cannot learn from the toy birds of this seed",
        ("every part to have certain pixels", format!("none for some part, seed {seed}")),
        "use another seed for the judge",
    )
}

/// The mean appearance of each plumage colour over the certain pixels of all parts that have it.
fn references(lessons: &[Lesson<'_>], left: &Anatomy, right: &Anatomy) -> [[f64; 3]; 8] {
    let mut sums = [[0.0; 4]; 8];
    for Lesson { picture, rgb, centres, .. } in lessons {
        let anatomy = if picture.facing == Facing::Left { left } else { right };
        let parts = anatomy.pixels(rgb, centres);
        for (colour, pixels) in picture.species.plumage().into_iter().zip(parts) {
            let Some(sum) = sums.get_mut(colour.index()) else { continue };
            for pixel in &pixels {
                let [l, a, b] = lab(*pixel);
                // Every part has the same weight, whatever its size.
                for (s, v) in sum.iter_mut().zip([l, a, b, 1.0]) {
                    *s += v / pixels.len() as f64;
                }
            }
        }
    }
    sums.map(|[l, a, b, n]| [l, a, b].map(|v| v / n.max(f64::MIN_POSITIVE)))
}

#[cfg(test)]
#[allow(clippy::print_stdout, reason = "tests print what they measure")]
mod tests {
    use std::path::Path;
    use std::sync::LazyLock;
    use std::time::Instant;

    use image::ExtendedColorType;
    use image::codecs::jpeg::JpegEncoder;
    use stackgan_noise::{Noise, Stream};

    use super::super::picture::Drawn;
    use super::super::shape::{HEIGHT, WIDTH};
    use super::super::view::{CENTRE, View};
    use super::*;
    use crate::crop::{PictureSize, Preparation, Resizing, decode, prepare};

    static JUDGE: LazyLock<Judge> = LazyLock::new(|| {
        let start = Instant::now();
        let judge = Judge::new(11).unwrap();
        println!("the judge looked at its own birds for {:.1} s", start.elapsed().as_secs_f64());
        judge
    });

    /// Birds of unseen species of another seed, with two windows of each: the middle one and a
    /// random one.
    fn unseen(n: usize) -> Vec<(Picture, [Vec<u8>; 2])> {
        let held_out = species(99, n * 6).unwrap().into_iter().filter(|s| s.split == Split::Test);
        let pictures: Vec<Picture> =
            held_out.enumerate().map(|(i, s)| Picture::new(99, i, s)).collect();
        let windows = pictures.par_iter().enumerate().map(|(i, p)| {
            let mut draws = Noise::new(1).draws(Stream::Test, 0, i as u64);
            let view = View::new(p).unwrap();
            let random = (draws.below(13) as usize, draws.below(13) as usize);
            [view.rgb(CENTRE), view.rgb(random)]
        });
        let windows: Vec<_> = windows.collect();
        pictures.into_iter().zip(windows).collect()
    }

    fn named(p: &Picture) -> Named {
        let [body, wing, belly, crown] = p.species.plumage().map(Some);
        Named { body, wing, belly, crown }
    }

    fn rates(a: &Agreement) -> [f64; 4] {
        a.rates().map(Option::unwrap)
    }

    #[test]
    fn unseen_real_birds_agree_with_what_they_are() {
        let judge = &*JUDGE;
        let certain = judge.left.certain.each_ref().map(Vec::len);
        println!("certain pixels of body, wing, belly, crown: {certain:?}");
        assert!(certain.into_iter().zip([80, 80, 80, 40]).all(|(n, least)| n >= least));

        let birds = unseen(300);
        for (window, least) in [(0, [0.98, 0.98, 0.98, 0.95]), (1, [0.96, 0.96, 0.96, 0.92])] {
            let facing =
                birds.iter().filter(|(p, w)| judge.parts(&w[window]).unwrap().facing == p.facing);
            let facing = facing.count() as f64 / birds.len() as f64;
            let pictures = birds.iter().map(|(p, w)| (w[window].clone(), named(p)));
            let agreement = judge.agreement(pictures).unwrap();
            println!("window {window}: {:?}, facing {facing:.3}", agreement.rates());
            assert!(facing >= 0.99);
            assert!(rates(&agreement).into_iter().zip(least).all(|(rate, least)| rate >= least));
        }

        // The measure can fail: with another bird's colours it is near chance.
        let others = birds.iter().skip(1).chain(birds.first()).map(|(p, _)| named(p));
        let pictures = birds.iter().map(|(_, w)| w[0].clone()).zip(others);
        let agreement = judge.agreement(pictures).unwrap();
        println!("another bird's colours: {:?}", agreement.rates());
        assert!(rates(&agreement).into_iter().all(|rate| rate < 0.25));
    }

    /// The means of the 4x4 squares of a picture of 256x256.
    fn reduced_from_256(rgb: &[u8]) -> Vec<u8> {
        let mean = |i: usize| {
            let (y, x, c) = (i / 192, i / 3 % 64, i % 3);
            let at = |k: usize| 3 * ((4 * y + k / 4) * 256 + 4 * x + k % 4) + c;
            let sum: u32 = (0..16).map(|k| u32::from(rgb[at(k)])).sum();
            ((sum + 8) / 16) as u8
        };
        (0..64 * 192).map(mean).collect()
    }

    /// The path of a Stage-II picture: JPEG file, prepared at 304, middle 256, reduced to 64.
    #[test]
    fn large_pictures_are_judged_after_reduction() {
        let held_out = species(7, 360).unwrap().into_iter().filter(|s| s.split == Split::Test);
        let pictures = held_out.enumerate().map(|(i, s)| {
            let picture = Picture::new(7, i, s);
            let Drawn { rgb, bounds } = picture.draw();
            let mut jpeg = Vec::new();
            JpegEncoder::new_with_quality(&mut jpeg, 95)
                .encode(&rgb, WIDTH, HEIGHT, ExtendedColorType::Rgb8)
                .unwrap();
            let how = Preparation::squeezed(PictureSize::Stage2, Resizing::Residual);
            let file = Path::new("a.jpg");
            let rgb = prepare(decode(&jpeg, file).unwrap(), Some(bounds), how, file).unwrap();
            let rows = rgb.chunks_exact(304 * 3).skip(24).take(256);
            let middle: Vec<u8> = rows.flat_map(|r| &r[24 * 3..(24 + 256) * 3]).copied().collect();
            (reduced_from_256(&middle), named(&picture))
        });
        let agreement = JUDGE.agreement(pictures).unwrap();
        println!("from 256: {:?}", agreement.rates());
        assert!(rates(&agreement).into_iter().all(|rate| rate >= 0.95));
    }

    #[test]
    fn what_is_not_named_is_not_counted_and_wrong_sizes_are_refused() {
        let judge = &*JUDGE;
        let (bird, windows) = unseen(1).remove(0);
        let one = Named { belly: Some(bird.species.belly), ..Named::default() };
        let nothing = (windows[0].clone(), Named::default());
        let agreement = judge.agreement([(windows[0].clone(), one), nothing].into_iter()).unwrap();
        assert_eq!(agreement.rates(), [None, None, Some(1.0), None]);
        assert_eq!(agreement.counts(), [0, 0, 1, 0]);
        assert!(judge.parts(&[0; 100]).is_err());
        // A picture without a bird also gives an answer.
        judge.parts(&vec![128; SIDE * SIDE * 3]).unwrap();
    }

    #[test]
    fn equal_seeds_give_equal_judges_whatever_the_threads() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let alone = pool.install(|| Judge::new(11)).unwrap();
        assert_eq!(format!("{alone:?}"), format!("{:?}", *JUDGE));
    }
}
