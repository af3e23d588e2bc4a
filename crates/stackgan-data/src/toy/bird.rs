//! The bird: a side view of a songbird made of cubic curves, in its own coordinates.
//!
//! Units are those of the canvas at scale 1. x grows towards the beak, y downwards, and the origin
//! is in the middle of the body. The drawing transform rotates, mirrors and places it.

use tiny_skia::{Path, Transform};

use super::colour::{Rgb, mix};
use super::shape::{Drawing, Fill, Ink, Part, circle, closed, ellipse, lines, open, rotation};
use super::species::{Length, Size};

/// Everything that the outline depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) beak_length: Length,
    pub(super) tail: Length,
    pub(super) size: Size,
    /// Wing angle in degrees, positive lifts the tip.
    pub(super) wing_lift: f32,
    /// Tail angle in degrees, positive lifts the tip.
    pub(super) tail_lift: f32,
    /// Rotation of the whole bird without its legs in degrees, positive lifts the head.
    pub(super) pitch: f32,
}

/// Pigments, after jitter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coat {
    pub(super) body: Rgb,
    pub(super) wing: Rgb,
    pub(super) belly: Rgb,
    pub(super) crown: Rgb,
    pub(super) beak: Rgb,
}

/// Distance of the feet below the origin.
pub(super) const FOOT: f32 = 82.0;

const SHADE: Rgb = [26, 20, 38];
const LIGHT: Rgb = [255, 252, 240];
const LEG: Rgb = [96, 78, 70];

impl Form {
    fn head(&self) -> f32 {
        match self.size {
            Size::Small => 1.12,
            Size::Large => 0.97,
        }
    }

    /// A point of the head, scaled about the head's middle.
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (54.0 + (x - 54.0) * self.head(), -46.0 + (y + 46.0) * self.head())
    }

    /// Three points of the head as a curve.
    fn bend(&self, p: [f32; 6]) -> [f32; 6] {
        let (a, b) = self.at(p[0], p[1]);
        let (c, d) = self.at(p[2], p[3]);
        let (x, y) = self.at(p[4], p[5]);
        [a, b, c, d, x, y]
    }

    fn silhouette(&self) -> Option<Path> {
        let deep = match self.size {
            Size::Small => 60.0,
            Size::Large => 54.0,
        };
        let nape = self.at(21.0, -52.0);
        closed(
            self.at(87.0, -56.0),
            &[
                self.bend([86.0, -76.0, 72.0, -89.0, 53.0, -89.0]),
                self.bend([35.0, -89.0, 23.0, -74.0, 21.0, -52.0]),
                [nape.0 - 8.0, nape.1 + 24.0, -38.0, -26.0, -76.0, 4.0],
                [-84.0, 12.0, -82.0, 20.0, -72.0, 26.0],
                [-50.0, 40.0, -24.0, deep, 6.0, deep],
                [46.0, deep, 74.0, 30.0, 74.0, -4.0],
                {
                    let mut throat = self.bend([74.0, -20.0, 86.0, -32.0, 86.0, -46.0]);
                    (throat[0], throat[1]) = (74.0, -18.0);
                    throat
                },
                self.bend([88.0, -50.0, 88.0, -52.0, 87.0, -56.0]),
            ],
        )
    }

    fn wing(&self) -> Option<Path> {
        closed(
            (25.0, -8.0),
            &[
                [12.0, -35.0, -36.0, -22.0, -88.0, 18.0],
                [-92.0, 22.0, -88.0, 26.0, -82.0, 25.0],
                [-46.0, 26.0, 20.0, 35.0, 25.0, -8.0],
            ],
        )
    }

    fn tail_length(&self) -> f32 {
        match self.tail {
            Length::Short => 36.0,
            Length::Long => 68.0,
        }
    }
}

/// Draws the bird into `drawing`, whose transform places the origin. `spread` is half the distance
/// between the feet.
pub(super) fn draw(drawing: &mut Drawing, form: &Form, coat: &Coat, spread: f32) {
    let place = drawing.transform;
    legs(drawing, spread);
    // The body rotates about the hip, over its legs.
    let turned = place.pre_concat(rotation(-form.pitch, (0.0, 30.0)));
    drawing.transform = turned;
    let Some(silhouette) = form.silhouette() else { return };

    tail(drawing, form, coat.wing, turned);
    beak(drawing, form, coat.beak);
    drawing.fill(Some(silhouette.clone()), shaded(coat.body, -86.0, 60.0), Some(Part::Body));

    let inside = drawing.add_clip(&silhouette);
    drawing.clip = Some(inside);
    drawing.fill(belly(), shaded(coat.belly, 0.0, 66.0), Some(Part::Belly));
    breast_feathers(drawing, coat);
    drawing.fill(crown(form), shaded(coat.crown, -96.0, -36.0), Some(Part::Crown));
    let edge = open(form.at(90.0, -62.5), &crown_edge(form));
    drawing.stroke(edge, 1.6, Ink(mix(coat.crown, SHADE, 0.5), 0.5));
    // Roundness: light from above, shade below.
    drawing.fill(Some(silhouette.clone()), glow((44.0, -70.0), 62.0, Ink(LIGHT, 0.20)), None);
    let shade = glow((-4.0, 70.0), 44.0, Ink(SHADE, 0.30));
    drawing.fill(ellipse(-4.0, 64.0, 92.0, 30.0), shade, None);
    drawing.clip = None;
    drawing.stroke(Some(silhouette), 2.2, Ink(mix(coat.body, SHADE, 0.72), 1.0));

    wing(drawing, form, coat.wing, turned);
    drawing.transform = turned;
    eye(drawing, form, coat);
    drawing.transform = place;
}

/// A vertical gradient: a little lighter than the pigment at `top`, a little darker at `bottom`.
fn shaded(pigment: Rgb, top: f32, bottom: f32) -> Fill {
    Fill::Linear {
        from: (0.0, top),
        to: (0.0, bottom),
        start: Ink(mix(pigment, LIGHT, 0.12), 1.0),
        end: Ink(mix(pigment, SHADE, 0.16), 1.0),
    }
}

fn glow(centre: (f32, f32), radius: f32, start: Ink) -> Fill {
    Fill::Radial { centre, radius, start, end: Ink(start.0, 0.0) }
}

fn legs(drawing: &mut Drawing, spread: f32) {
    for (hip, foot) in [(-10.0, -spread - 2.0), (12.0, spread + 2.0)] {
        let knee = ((hip + foot) / 2.0 - 4.0, 62.0);
        let leg = lines(&[(hip, 42.0), knee, (foot, FOOT - 3.0)]);
        drawing.limb(leg, 4.6, Ink(LEG, 1.0));
        for toe in [(12.0, 1.0), (9.0, 3.0), (-8.0, 2.0)] {
            let toes = lines(&[(foot, FOOT - 4.0), (foot + toe.0, FOOT - 2.0 + toe.1)]);
            drawing.limb(toes, 3.2, Ink(LEG, 1.0));
        }
    }
}

fn tail(drawing: &mut Drawing, form: &Form, colour: Rgb, place: Transform) {
    let long = form.tail_length();
    drawing.transform = place.pre_concat(rotation(form.tail_lift - 24.0, (-66.0, 12.0)));
    let tip = -70.0 - long;
    let feathers = closed(
        (-48.0, 0.0),
        &[
            [-60.0, -1.0, tip + 20.0, -3.0, tip, -4.0],
            [tip - 9.0, -4.0, tip - 8.0, 4.0, tip + 3.0, 11.0],
            [tip - 6.0, 17.0, tip - 6.0, 26.0, tip + 3.0, 26.0],
            [tip + 24.0, 26.0, -62.0, 24.0, -48.0, 22.0],
        ],
    );
    let dark = mix(colour, SHADE, 0.72);
    drawing.fill(feathers.clone(), shaded(colour, -14.0, 34.0), Some(Part::Other));
    for y in [5.0, 11.0, 17.5] {
        let line = open((-52.0, y), &[[-70.0, y, tip + 30.0, y, tip + 5.0, y + 1.0]]);
        drawing.stroke(line, 1.4, Ink(dark, 0.55));
    }
    drawing.stroke(feathers, 2.2, Ink(dark, 1.0));
    drawing.transform = place;
}

fn beak(drawing: &mut Drawing, form: &Form, colour: Rgb) {
    let (length, droop) = match form.beak_length {
        Length::Short => (17.0, 1.0),
        Length::Long => (36.0, 4.0),
    };
    let (x, top) = form.at(82.0, -60.0);
    let (_, bottom) = form.at(82.0, -42.0);
    let (_, middle) = form.at(82.0, -50.0);
    let tip = (x + 5.0 + length, middle + 1.0 + droop);
    let shape = closed(
        (x, top),
        &[
            [x + 10.0, top + 1.0, tip.0 - length * 0.35, middle - 4.0, tip.0, tip.1],
            [tip.0 - length * 0.45, tip.1 + 3.0, x + 10.0, bottom, x, bottom],
        ],
    );
    let dark = mix(colour, SHADE, 0.7);
    drawing.fill(
        shape.clone(),
        Fill::Linear {
            from: (x, top),
            to: (x, bottom),
            start: Ink(mix(colour, LIGHT, 0.18), 1.0),
            end: Ink(mix(colour, SHADE, 0.25), 1.0),
        },
        Some(Part::Other),
    );
    let mouth = open(
        (x, middle + 1.0),
        &[[x + 10.0, middle + 2.0, tip.0 - 10.0, middle + 1.0, tip.0 - 1.0, tip.1]],
    );
    drawing.stroke(mouth, 1.3, Ink(dark, 0.8));
    drawing.stroke(shape, 1.8, Ink(dark, 1.0));
}

/// The belly from the vent to the lower breast; to be clipped to the silhouette.
fn belly() -> Option<Path> {
    closed(
        (-96.0, 22.0),
        &[
            [-60.0, 24.0, -20.0, 20.0, 18.0, 17.0],
            [42.0, 14.0, 56.0, 8.0, 84.0, 4.0],
            [100.0, 30.0, 70.0, 80.0, 0.0, 80.0],
            [-60.0, 80.0, -96.0, 50.0, -96.0, 22.0],
        ],
    )
}

/// The cap: the upper half of the head, down to the nape; to be clipped to the silhouette.
fn crown(form: &Form) -> Option<Path> {
    let [brow, temple, nape] = crown_edge(form);
    let back = form.bend([8.0, -70.0, 20.0, -100.0, 54.0, -100.0]);
    let front = form.bend([84.0, -100.0, 98.0, -84.0, 96.0, -62.0]);
    closed(form.at(96.0, -62.0), &[brow, temple, nape, back, front])
}

/// The lower edge of the cap, from the beak to the nape.
fn crown_edge(form: &Form) -> [[f32; 6]; 3] {
    [
        [84.0, -63.0, 76.0, -66.0, 66.0, -65.0],
        [52.0, -63.0, 48.0, -49.0, 34.0, -42.0],
        [28.0, -38.0, 18.0, -36.0, 8.0, -36.0],
    ]
    .map(|curve| form.bend(curve))
}

/// Small arcs on breast and belly.
fn breast_feathers(drawing: &mut Drawing, coat: &Coat) {
    let rows = [
        (coat.body, [(56.0, -16.0), (46.0, -24.0), (60.0, -28.0)]),
        (coat.belly, [(50.0, 14.0), (38.0, 26.0), (22.0, 38.0)]),
        (coat.belly, [(58.0, 22.0), (8.0, 46.0), (-16.0, 42.0)]),
    ];
    for (colour, spots) in rows {
        for (x, y) in spots {
            let arc = open((x - 5.0, y), &[[x - 3.0, y + 4.0, x + 3.0, y + 4.0, x + 5.0, y]]);
            drawing.stroke(arc, 1.4, Ink(mix(colour, SHADE, 0.6), 0.38));
        }
    }
}

fn wing(drawing: &mut Drawing, form: &Form, colour: Rgb, place: Transform) {
    drawing.transform = place.pre_concat(rotation(form.wing_lift, (22.0, -6.0)));
    let Some(shape) = form.wing() else { return };
    let dark = mix(colour, SHADE, 0.72);
    // A soft shadow under the wing.
    let shadow = drawing.transform;
    drawing.transform = shadow.pre_concat(Transform::from_translate(1.0, 4.0));
    drawing.stroke(Some(shape.clone()), 4.0, Ink(SHADE, 0.20));
    drawing.transform = shadow;
    drawing.fill(Some(shape.clone()), shaded(colour, -28.0, 34.0), Some(Part::Wing));

    let inside = drawing.add_clip(&shape);
    drawing.clip = Some(inside);
    drawing.fill(Some(shape.clone()), glow((2.0, -14.0), 40.0, Ink(LIGHT, 0.16)), None);
    let feather = Ink(dark, 0.62);
    // Flight feathers extend to the tip; coverts are scallops over them.
    for (i, y) in [(0.0, -2.0), (1.0, 6.0), (2.0, 13.0)] {
        let end = (-78.0 + 13.0 * i, 18.0 + 2.5 * i);
        let line = open((-12.0 + 4.0 * i, y), &[[-30.0, y + 1.0, -54.0, y + 5.0, end.0, end.1]]);
        drawing.stroke(line, 1.6, feather);
    }
    for (x, y, r) in [(-14.0, -10.0, 9.0), (-10.0, 3.0, 9.0), (-3.0, 14.0, 8.0), (8.0, -8.0, 8.0)] {
        let arc = open(
            (x + r * 0.7, y - r),
            &[[x - r, y - r, x - r, y + r * 0.8, x + r * 0.7, y + r * 0.8]],
        );
        drawing.stroke(arc, 1.5, feather);
    }
    drawing.clip = None;
    drawing.stroke(Some(shape), 2.2, Ink(dark, 1.0));
}

fn eye(drawing: &mut Drawing, form: &Form, coat: &Coat) {
    let (x, y) = form.at(69.0, -55.0);
    let r = 6.4 * form.head();
    drawing.fill(circle(x, y, r + 1.6), Fill::Flat(Ink(mix(coat.body, SHADE, 0.6), 0.9)), None);
    drawing.fill(circle(x, y, r), Fill::Flat(Ink([236, 226, 200], 1.0)), Some(Part::Other));
    drawing.fill(circle(x + 0.4, y, r * 0.80), Fill::Flat(Ink([24, 18, 18], 1.0)), None);
    drawing.fill(circle(x + 2.0, y - 2.2, r * 0.30), Fill::Flat(Ink([255, 255, 255], 1.0)), None);
}
