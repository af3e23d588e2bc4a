//! One picture: the differences between two birds of a species, and its drawing.

use stackgan_noise::{Draws, Noise, Stream};
use tiny_skia::Transform;

use super::backdrop::{self, Background, Support};
use super::bird::{self, Coat, FOOT, Form};
use super::colour::tint;
use super::shape::{Drawing, HEIGHT, WIDTH};
use super::species::{Size, Species};
use crate::dataset::BoundingBox;

/// The direction in which the bird faces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Facing {
    /// The beak points to the left edge.
    Left,
    /// The beak points to the right edge.
    Right,
}

impl Facing {
    /// The English word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

/// The pose of the bird.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pose {
    /// Sitting level on a branch.
    Perched,
    /// Sitting steeply on a branch, head high.
    Upright,
    /// Standing on the ground, or on a rock in the water.
    Standing,
    /// On a branch, with a wing lifted.
    WingLifted,
}

impl Pose {
    /// The word used in `attributes.csv`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Perched => "perched",
            Self::Upright => "upright",
            Self::Standing => "standing",
            Self::WingLifted => "wing lifted",
        }
    }

    pub(super) const fn support(self) -> Support {
        match self {
            Self::Standing => Support::Ground,
            Self::Perched | Self::Upright | Self::WingLifted => Support::Branch,
        }
    }
}

/// The attributes of one picture and the random numbers of its drawing.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    pub(super) species: Species,
    pub(super) facing: Facing,
    pub(super) background: Background,
    pub(super) pose: Pose,
    jitter: Jitter,
    scenery: Draws,
}

/// Small differences that no caption names.
#[derive(Clone, Copy, Debug)]
struct Jitter {
    /// Degrees, added to the pose's pitch.
    pitch: f32,
    wing: f32,
    tail: f32,
    /// Offset in pixels.
    shift: (f32, f32),
    scale: f32,
    /// Half the distance between the feet.
    spread: f32,
    /// Channel factors of body, wing, belly, crown and beak.
    tints: [[f32; 3]; 5],
}

/// A drawn picture.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    /// [`WIDTH`] x [`HEIGHT`] RGB bytes, row by row.
    pub(super) rgb: Vec<u8>,
    /// The bird's bounding box, to a tenth of a pixel.
    pub(super) bounds: BoundingBox,
}

impl Picture {
    /// Picture number `index` of `seed`, a bird of `species`.
    pub(super) fn new(seed: u64, index: usize, species: Species) -> Self {
        let noise = Noise::new(seed);
        let mut draws = noise.draws(Stream::Toy, 1, index as u64);
        let facing = if draws.chance(0.5) { Facing::Left } else { Facing::Right };
        let background = draws.choose(&Background::ALL).copied().unwrap_or(Background::Sky);
        let stands = match background {
            Background::Water | Background::Snow | Background::Meadow => 0.6,
            Background::Sky | Background::Leaves | Background::Dusk => 0.0,
        };
        let pose = if draws.chance(stands) {
            Pose::Standing
        } else {
            let choices = [Pose::Perched, Pose::Perched, Pose::Upright, Pose::WingLifted];
            draws.choose(&choices).copied().unwrap_or(Pose::Perched)
        };
        let mut around = |spread: f64| draws.range(-spread, spread) as f32;
        let jitter = Jitter {
            pitch: around(5.0),
            wing: around(4.0),
            tail: around(6.0),
            shift: (around(12.0), around(5.0)),
            scale: 1.0 + around(0.04),
            spread: 12.0 + around(4.0),
            tints: [[(); 3]; 5].map(|part| {
                let light = 1.0 + around(0.05);
                part.map(|()| light * (1.0 + around(0.03)))
            }),
        };
        let scenery = noise.draws(Stream::Toy, 2, index as u64);
        Self { species, facing, background, pose, jitter, scenery }
    }

    /// Draws the picture and measures the bird.
    pub(super) fn draw(&self) -> Drawn {
        let drawing = self.compose();
        let [left, top, right, bottom] = drawing.bounds();
        let [x, y, width, height] =
            [left, top, right - left, bottom - top].map(|v| (f64::from(v) * 10.0).round() / 10.0);
        Drawn { rgb: drawing.picture(), bounds: BoundingBox { x, y, width, height } }
    }

    /// The part that each pixel shows (values of `Part`), without anti-aliasing.
    pub(super) fn labels(&self) -> Vec<u8> {
        self.compose().labels()
    }

    /// Composes the whole picture. This is done twice: once to measure the bird, once to place it.
    fn compose(&self) -> Drawing {
        let Jitter { shift, spread, .. } = self.jitter;
        let scale = self.scale();
        let mirror = match self.facing {
            Facing::Left => -scale,
            Facing::Right => scale,
        };
        let (form, coat) = (self.form(), self.coat());
        let mut measured = Drawing::default();
        measured.transform = Transform::from_row(mirror, 0.0, 0.0, scale, 0.0, 0.0);
        bird::draw(&mut measured, &form, &coat, spread);
        let [left, top, right, bottom] = measured.bounds();

        // The middle of the bounding box, with tail and beak, is placed near the middle of the
        // canvas.
        let x = WIDTH as f32 / 2.0 + shift.0 - (left + right) / 2.0;
        let y = HEIGHT as f32 / 2.0 + shift.1 - (top + bottom) / 2.0;
        let mut drawing = Drawing::default();
        let foot = (x, y + FOOT * scale);
        let mut scenery = self.scenery.clone();
        backdrop::draw(&mut drawing, self.background, self.pose.support(), foot, &mut scenery);
        drawing.transform = Transform::from_row(mirror, 0.0, 0.0, scale, x, y);
        bird::draw(&mut drawing, &form, &coat, spread);
        drawing
    }

    fn scale(&self) -> f32 {
        let size = match self.species.size {
            Size::Small => 0.84,
            Size::Large => 0.92,
        };
        size * self.jitter.scale
    }

    fn form(&self) -> Form {
        let Jitter { pitch, wing, tail, .. } = self.jitter;
        Form {
            beak_length: self.species.beak_length,
            tail: self.species.tail,
            size: self.species.size,
            wing_lift: wing + if self.pose == Pose::WingLifted { 20.0 } else { 0.0 },
            tail_lift: tail,
            pitch: pitch + if self.pose == Pose::Upright { 12.0 } else { 0.0 },
        }
    }

    /// The pigments under this picture's light. Parts with the same colour share it.
    fn coat(&self) -> Coat {
        let [body, wing, belly, crown, beak] = self.jitter.tints;
        let Species { body: main, wing: wings, crown: cap, .. } = self.species;
        Coat {
            body: tint(main.rgb(), body),
            wing: tint(wings.rgb(), if wings == main { body } else { wing }),
            belly: tint(self.species.belly.rgb(), belly),
            crown: tint(cap.rgb(), if cap == main { body } else { crown }),
            beak: tint(self.species.beak.rgb(), beak),
        }
    }
}
