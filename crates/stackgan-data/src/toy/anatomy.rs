//! Positions of the parts of a drawn bird in a 64x64 picture, learned from label maps.

use stackgan_noise::{Noise, Stream};

use super::picture::{Facing, Picture};
use super::ridge::{self, Weights};
use super::shape::Part;
use super::view::{CENTRE, SIDE, STORED, View};
use crate::Result;

/// A pixel certainly shows a part if it does so in this share of the birds.
const CERTAIN: f64 = 0.85;

/// Number of windows of each bird to learn from, besides the middle one.
const WINDOWS: usize = 6;

/// Weight penalty of the readouts. Between 3 and 60 the agreement on unseen birds changed by less
/// than 0.015.
pub(super) const PENALTY: f64 = 40.0;

/// Side of the difference map.
const MAP: usize = 16;

/// The judged parts: body, wing, belly, crown.
const PARTS: [Part; 4] = [Part::Body, Part::Wing, Part::Belly, Part::Crown];

/// A window of a bird, as a training example.
pub(super) struct Lesson<'a> {
    pub(super) picture: &'a Picture,
    /// The 64x64 picture.
    pub(super) rgb: Vec<u8>,
    /// Its [`difference_map`].
    pub(super) map: Vec<f64>,
    /// Centroids of the parts, x and y in turn.
    pub(super) centres: [f64; 8],
    labels: Vec<u8>,
}

impl<'a> Lesson<'a> {
    /// Picture number `i` in the middle window and in random ones. Windows that miss a part are
    /// dropped.
    pub(super) fn of(seed: u64, i: usize, picture: &'a Picture) -> Result<Vec<Self>> {
        let view = View::new(picture)?;
        let mut draws = Noise::new(seed).draws(Stream::Toy, 3, i as u64);
        let mut place = || draws.below((STORED - SIDE + 1) as u64) as usize;
        let windows = (0..WINDOWS).map(|_| (place(), place()));
        let lesson = |at| {
            let (rgb, labels) = (view.rgb(at), view.labels(at));
            let centres = centres(&labels)?;
            Some(Self { picture, map: difference_map(&rgb), rgb, labels, centres })
        };
        Ok(std::iter::once(CENTRE).chain(windows).filter_map(lesson).collect())
    }

    /// 1 for a bird that faces right, -1 for left.
    pub(super) fn side(&self) -> f64 {
        match self.picture.facing {
            Facing::Left => -1.0,
            Facing::Right => 1.0,
        }
    }
}

/// The positions of the parts in birds that face one way.
#[derive(Clone, Debug)]
pub(super) struct Anatomy {
    /// For each part, the pixels that certainly show it, as offsets (x, y) from its centre.
    pub(super) certain: [Vec<[i32; 2]>; 4],
    /// Readouts of the parts' centres in pixels: x and y of the first part, of the second, and so on.
    centres: Vec<Weights>,
}

impl Anatomy {
    /// Learns from the examples with one facing. `None` if a part has no certain pixels.
    pub(super) fn learn(lessons: &[Lesson<'_>], facing: Facing) -> Option<Self> {
        let mine: Vec<_> = lessons.iter().filter(|l| l.picture.facing == facing).collect();
        let rows: Vec<_> = mine.iter().map(|l| (l.map.clone(), l.centres.to_vec())).collect();
        let centres = ridge::fit(&rows, PENALTY)?;
        let certain: [_; 4] = std::array::from_fn(|i| certain(&mine, i, PARTS[i]));
        (!certain.iter().any(Vec::is_empty)).then_some(Self { certain, centres })
    }

    /// The centres that the readouts predict from a [`difference_map`].
    pub(super) fn centres(&self, map: &[f64]) -> Vec<f64> {
        self.centres.iter().map(|weights| ridge::predict(weights, map)).collect()
    }

    /// For each part the pixels of `rgb` that show it, given the parts' centres as x and y in turn.
    pub(super) fn pixels<'a>(
        &'a self,
        rgb: &'a [u8],
        centres: &'a [f64],
    ) -> impl Iterator<Item = Vec<[f64; 3]>> + 'a {
        self.certain.iter().zip(centres.chunks_exact(2)).map(move |(steps, centre)| {
            steps.iter().filter_map(|step| pixel_at(rgb, centre, step)).collect()
        })
    }
}

/// The offsets from the centre of part number `i` that show it in at least [`CERTAIN`] of the
/// examples.
fn certain(lessons: &[&Lesson<'_>], i: usize, part: Part) -> Vec<[i32; 2]> {
    // Offsets are within 64 pixels in either direction.
    const SPAN: usize = 2 * SIDE;
    let mut counts = vec![0usize; SPAN * SPAN];
    for lesson in lessons {
        let mut centre = lesson.centres.iter().skip(2 * i).map(|c| c.round() as usize);
        let (Some(cx), Some(cy)) = (centre.next(), centre.next()) else { continue };
        for (x, y) in pixels_of(&lesson.labels, part) {
            let (dx, dy) = ((x + SIDE).saturating_sub(cx), (y + SIDE).saturating_sub(cy));
            if let Some(count) = counts.get_mut(dy * SPAN + dx) {
                *count += 1;
            }
        }
    }
    let enough = ((CERTAIN * lessons.len() as f64).ceil() as usize).max(1);
    let sure = counts.iter().enumerate().filter(|(_, n)| **n >= enough);
    sure.map(|(k, _)| [k % SPAN, k / SPAN].map(|v| v as i32 - SIDE as i32)).collect()
}

/// Positions of the pixels that show `part`.
fn pixels_of(labels: &[u8], part: Part) -> impl Iterator<Item = (usize, usize)> {
    let mine = labels.iter().enumerate().filter(move |(_, l)| **l == part as u8);
    mine.map(|(i, _)| (i % SIDE, i / SIDE))
}

/// Centroids of the four parts, x and y in turn. `None` if one is not visible.
fn centres(labels: &[u8]) -> Option<[f64; 8]> {
    let mut centres = [0.0; 8];
    for (centre, part) in centres.chunks_exact_mut(2).zip(PARTS) {
        let n = pixels_of(labels, part).count();
        if n == 0 {
            return None;
        }
        for (x, y) in pixels_of(labels, part) {
            for (c, v) in centre.iter_mut().zip([x, y]) {
                *c += v as f64 / n as f64;
            }
        }
    }
    Some(centres)
}

/// The pixel at offset `step` from `centre`, if it is inside.
fn pixel_at(rgb: &[u8], centre: &[f64], step: &[i32; 2]) -> Option<[f64; 3]> {
    let mut place = centre.iter().zip(step).map(|(c, s)| c.round() + f64::from(*s));
    let (x, y) = (place.next()?, place.next()?);
    let inside = 0.0..SIDE as f64;
    (inside.contains(&x) && inside.contains(&y)).then(|| pixel(rgb, x as usize, y as usize))
}

fn pixel(rgb: &[u8], x: usize, y: usize) -> [f64; 3] {
    let at = (y * SIDE + x) * 3;
    [0, 1, 2].map(|c| f64::from(rgb.get(at + c).copied().unwrap_or(0)))
}

/// How much each 4x4 block differs from the background of its row, in [0, 1]. The background is
/// interpolated from the colour at the left edge to that at the right, so that horizons, water and
/// branches mostly vanish.
pub(super) fn difference_map(rgb: &[u8]) -> Vec<f64> {
    const EDGE: usize = 2;
    let block = SIDE / MAP;
    let mut map = vec![0.0; MAP * MAP];
    for y in 0..SIDE {
        let mean = |from: usize| {
            let mut sum = [0.0; 3];
            for x in from..from + EDGE {
                for (s, p) in sum.iter_mut().zip(pixel(rgb, x, y)) {
                    *s += p / EDGE as f64;
                }
            }
            sum
        };
        let (left, right) = (mean(0), mean(SIDE - EDGE));
        for x in 0..SIDE {
            let t = x as f64 / (SIDE - 1) as f64;
            let difference: f64 = pixel(rgb, x, y)
                .iter()
                .zip(left.iter().zip(right))
                .map(|(p, (l, r))| (p - (l + (r - l) * t)).abs())
                .sum();
            if let Some(m) = map.get_mut(y / block * MAP + x / block) {
                *m += (difference / 150.0).min(1.0) / (block * block) as f64;
            }
        }
    }
    map
}
