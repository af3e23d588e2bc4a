//! The background of a bird (sky, leaves, water, snow, a meadow or dusk) and its support (a branch,
//! rock or ground). Colours are pale or dull, so that the plumage stands out and captions need not
//! name them.

use stackgan_noise::Draws;

use super::colour::{Rgb, mix, tint};
use super::shape::{
    Drawing, Fill, HEIGHT, Ink, WIDTH, below, circle, closed, ellipse, lines, open, rotation,
};

/// The background of a bird.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Background {
    /// Open sky with clouds.
    Sky,
    /// Leaves, near and far.
    Leaves,
    /// Water with ripples.
    Water,
    /// A winter day.
    Snow,
    /// Grass with flowers.
    Meadow,
    /// Hills at sunset.
    Dusk,
}

impl Background {
    /// All kinds.
    pub(super) const ALL: [Self; 6] =
        [Self::Sky, Self::Leaves, Self::Water, Self::Snow, Self::Meadow, Self::Dusk];

    /// The word used in `attributes.csv`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sky => "sky",
            Self::Leaves => "leaves",
            Self::Water => "water",
            Self::Snow => "snow",
            Self::Meadow => "meadow",
            Self::Dusk => "dusk",
        }
    }
}

/// What the bird stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Support {
    Branch,
    Ground,
}

const W: f32 = WIDTH as f32;
const H: f32 = HEIGHT as f32;
const WHITE: Rgb = [255, 255, 255];

/// Draws everything behind the bird. `foot` is the position of the feet on the canvas.
pub(super) fn draw(
    drawing: &mut Drawing,
    kind: Background,
    support: Support,
    foot: (f32, f32),
    draws: &mut Draws,
) {
    match kind {
        Background::Sky => sky(drawing, draws),
        Background::Leaves => leaves(drawing, draws),
        Background::Water => water(drawing, support, foot, draws),
        Background::Snow => snow(drawing, support, foot, draws),
        Background::Meadow => meadow(drawing, support, foot, draws),
        Background::Dusk => dusk(drawing, draws),
    }
    if support == Support::Branch {
        branch(drawing, kind, foot, draws);
    }
}

fn between(draws: &mut Draws, low: f32, high: f32) -> f32 {
    draws.range(f64::from(low), f64::from(high)) as f32
}

fn flat(colour: Rgb, opacity: f32) -> Fill {
    Fill::Flat(Ink(colour, opacity))
}

fn fade(top: Rgb, bottom: Rgb, from: f32, to: f32) -> Fill {
    Fill::Linear { from: (0.0, from), to: (0.0, to), start: Ink(top, 1.0), end: Ink(bottom, 1.0) }
}

/// Varies a colour slightly from picture to picture.
fn vary(draws: &mut Draws, colour: Rgb) -> Rgb {
    let light = between(draws, 0.94, 1.05);
    tint(colour, [0; 3].map(|_: i32| light * between(draws, 0.97, 1.03)))
}

fn soft_blob(drawing: &mut Drawing, (x, y): (f32, f32), r: f32, ink: Ink) {
    let fill = Fill::Radial { centre: (x, y), radius: r, start: ink, end: Ink(ink.0, 0.0) };
    drawing.fill(circle(x, y, r), fill, None);
}

fn sky(drawing: &mut Drawing, draws: &mut Draws) {
    let (top, low) = (vary(draws, [150, 192, 228]), vary(draws, [222, 234, 240]));
    drawing.fill(below(0.0), fade(top, low, 0.0, H), None);
    let puffs = [(-44.0, 6.0, 22.0), (-18.0, -8.0, 30.0), (16.0, -2.0, 27.0), (44.0, 8.0, 20.0)];
    for _ in 0..2 + draws.below(3) {
        let (x, y) = (between(draws, 0.0, W), between(draws, 20.0, 250.0));
        let size = between(draws, 0.7, 1.3);
        for (dx, dy, r) in puffs {
            let at = (x + dx * size, y + dy * size);
            soft_blob(drawing, at, r * size * 1.5, Ink(WHITE, 0.75));
        }
    }
}

/// A pointed leaf of the given length with a midrib, its stem at the origin of the current
/// transform.
fn leaf(drawing: &mut Drawing, (x, y): (f32, f32), degrees: f32, length: f32, colour: Rgb) {
    let place = drawing.transform;
    drawing.transform = place.pre_concat(rotation(degrees, (x, y)));
    let half = length * 0.28;
    let blade = closed(
        (x, y),
        &[
            [x + length * 0.25, y - half, x + length * 0.7, y - half, x + length, y],
            [x + length * 0.7, y + half, x + length * 0.25, y + half, x, y],
        ],
    );
    drawing.fill(blade, flat(colour, 1.0), None);
    let rib = lines(&[(x, y), (x + length * 0.92, y)]);
    drawing.stroke(rib, 1.2, Ink(mix(colour, WHITE, 0.35), 0.7));
    drawing.transform = place;
}

fn leaves(drawing: &mut Drawing, draws: &mut Draws) {
    let base = vary(draws, [150, 176, 140]);
    let (top, low) = (mix(base, WHITE, 0.35), mix(base, [60, 80, 60], 0.3));
    drawing.fill(below(0.0), fade(top, low, 0.0, H), None);
    for _ in 0..16 {
        let at = (between(draws, -20.0, W + 20.0), between(draws, -20.0, H + 20.0));
        let light = draws.chance(0.5);
        let ink = if light { Ink([226, 236, 190], 0.40) } else { Ink([92, 124, 92], 0.35) };
        soft_blob(drawing, at, between(draws, 24.0, 70.0), ink);
    }
    // Faint far leaves everywhere; near ones come in from the edges, as around a nest.
    for _ in 0..34 {
        let at = (between(draws, 0.0, W), between(draws, 0.0, H));
        let target = if draws.chance(0.5) { [206, 220, 172] } else { [104, 136, 96] };
        let colour = mix(base, target, between(draws, 0.25, 0.6));
        let (turn, long) = (between(draws, 0.0, 360.0), between(draws, 26.0, 54.0));
        leaf(drawing, at, turn, long, colour);
    }
    for _ in 0..22 {
        let edge = draws.below(4);
        let (along, inward) = (between(draws, 0.0, 1.0), between(draws, 0.0, 76.0));
        let at = match edge {
            0 => (along * W, inward),
            1 => (along * W, H - inward * 0.7),
            2 => (inward, along * H),
            _ => (W - inward, along * H),
        };
        let shade = between(draws, 0.0, 0.5);
        let colour = mix(vary(draws, [132, 164, 108]), [74, 104, 72], shade);
        let (turn, long) = (between(draws, 0.0, 360.0), between(draws, 34.0, 62.0));
        leaf(drawing, at, turn, long, colour);
    }
}

fn water(drawing: &mut Drawing, support: Support, foot: (f32, f32), draws: &mut Draws) {
    let shore = between(draws, 70.0, 130.0);
    let (haze, far) = (vary(draws, [226, 232, 228]), vary(draws, [176, 192, 178]));
    let (near, deep) = (vary(draws, [170, 206, 212]), vary(draws, [96, 146, 164]));
    drawing.fill(below(0.0), fade(mix(haze, WHITE, 0.3), haze, 0.0, shore), None);
    let mut x = -20.0;
    while x < W + 20.0 {
        let r = between(draws, 18.0, 40.0);
        drawing.fill(ellipse(x, shore, r * 1.4, r * 0.7), flat(mix(far, haze, 0.35), 1.0), None);
        x += r;
    }
    drawing.fill(below(shore), fade(near, deep, shore, H), None);
    for _ in 0..26 {
        let (x, y) = (between(draws, -30.0, W), between(draws, shore + 6.0, H));
        let long = 20.0 + (y - shore) * 0.22;
        let rise = 1.0 + (y - shore) * 0.014;
        let ripple = open(
            (x, y),
            &[
                [x + long * 0.25, y - rise, x + long * 0.5, y - rise, x + long * 0.75, y],
                [x + long, y + rise, x + long * 1.25, y + rise, x + long * 1.5, y],
            ],
        );
        drawing.stroke(ripple, 1.6, Ink(WHITE, between(draws, 0.25, 0.6)));
    }
    if support == Support::Ground {
        rock(drawing, foot, draws);
    }
}

fn rock(drawing: &mut Drawing, (x, y): (f32, f32), draws: &mut Draws) {
    let stone = vary(draws, [140, 136, 130]);
    let (l, r) = (x - between(draws, 90.0, 130.0), x + between(draws, 90.0, 130.0));
    let shape = closed(
        (l, y + 44.0),
        &[
            [l + 8.0, y + 8.0, x - 60.0, y - 4.0, x - 10.0, y - 3.0],
            [x + 40.0, y - 4.0, r - 14.0, y + 6.0, r, y + 44.0],
            [r - 20.0, y + 58.0, l + 20.0, y + 58.0, l, y + 44.0],
        ],
    );
    let top = mix(stone, WHITE, 0.3);
    drawing.fill(shape, fade(top, mix(stone, [40, 44, 52], 0.45), y - 4.0, y + 52.0), None);
    for _ in 0..4 {
        let (cx, cy) = (between(draws, l + 30.0, r - 40.0), between(draws, y + 12.0, y + 36.0));
        let crack =
            open((cx, cy), &[[cx + 8.0, cy + 2.0, cx + 14.0, cy + 8.0, cx + 24.0, cy + 7.0]]);
        drawing.stroke(crack, 1.4, Ink([70, 68, 66], 0.5));
    }
    drawing.stroke(lines(&[(l - 14.0, y + 50.0), (r + 14.0, y + 50.0)]), 3.0, Ink(WHITE, 0.45));
}

fn snow(drawing: &mut Drawing, support: Support, foot: (f32, f32), draws: &mut Draws) {
    let (top, low) = (vary(draws, [160, 178, 200]), vary(draws, [206, 216, 228]));
    drawing.fill(below(0.0), fade(top, low, 0.0, H * 0.7), None);
    let ground = if support == Support::Ground { foot.1 - 26.0 } else { H * 0.78 };
    for _ in 0..5 {
        let (x, tall) = (between(draws, 0.0, W), between(draws, 90.0, 170.0));
        let dark = mix(vary(draws, [128, 146, 158]), low, between(draws, 0.2, 0.6));
        for i in 0..3 {
            let f = i as f32;
            let (y, half) = (ground - tall + tall * 0.26 * f, tall * (0.13 + 0.08 * f));
            let tier = [(x, y), (x + half, y + tall * 0.48), (x - half, y + tall * 0.48), (x, y)];
            drawing.fill(lines(&tier), flat(dark, 1.0), None);
        }
    }
    let (rise, dip) = (between(draws, -14.0, 14.0), between(draws, -14.0, 14.0));
    let hill = closed(
        (-10.0, ground + rise),
        &[
            [W * 0.3, ground - 14.0, W * 0.6, ground + dip, W + 10.0, ground - rise],
            [W + 10.0, H, W + 10.0, H, W + 10.0, H + 10.0],
            [W * 0.6, H + 10.0, W * 0.3, H + 10.0, -10.0, H + 10.0],
        ],
    );
    drawing.fill(hill, fade([232, 237, 244], [196, 208, 224], ground, H), None);
    if support == Support::Ground {
        shadow(drawing, foot);
    }
    for _ in 0..40 {
        let (x, y, r) = (between(draws, 0.0, W), between(draws, 0.0, H), between(draws, 1.4, 3.6));
        drawing.fill(circle(x, y, r), flat(WHITE, 0.85), None);
    }
}

fn meadow(drawing: &mut Drawing, support: Support, foot: (f32, f32), draws: &mut Draws) {
    let (top, low) = (vary(draws, [206, 220, 226]), vary(draws, [238, 236, 214]));
    drawing.fill(below(0.0), fade(top, low, 0.0, H * 0.7), None);
    let ground = if support == Support::Ground { foot.1 - 34.0 } else { H * 0.74 };
    let far = vary(draws, [186, 200, 164]);
    let hill = ellipse(between(draws, 40.0, 140.0), ground + 10.0, 190.0, 60.0);
    drawing.fill(hill, flat(far, 1.0), None);
    let hill = ellipse(between(draws, 260.0, 380.0), ground + 14.0, 210.0, 50.0);
    drawing.fill(hill, flat(mix(far, WHITE, 0.18), 1.0), None);
    let grass = vary(draws, [164, 178, 116]);
    drawing.fill(below(ground), fade(grass, mix(grass, [84, 96, 58], 0.5), ground, H), None);
    if support == Support::Ground {
        shadow(drawing, foot);
    }
    for _ in 0..90 {
        let (x, y) = (between(draws, 0.0, W), between(draws, ground + 4.0, H + 14.0));
        let tall = between(draws, 7.0, 18.0);
        let lean = between(draws, -6.0, 6.0);
        let shade = between(draws, 0.0, 0.7);
        let blade = open((x, y), &[[x, y - tall * 0.4, x, y - tall * 0.7, x + lean, y - tall]]);
        drawing.stroke(blade, 1.8, Ink(mix([190, 200, 132], [92, 108, 62], shade), 0.9));
    }
    for _ in 0..draws.below(9) {
        let (x, y) = (between(draws, 0.0, W), between(draws, ground + 16.0, H));
        let petal = [[250, 246, 240], [240, 214, 222], [246, 232, 190]];
        let colour = draws.choose(&petal).copied().unwrap_or(WHITE);
        let place = drawing.transform;
        for k in 0..5 {
            drawing.transform = place.pre_concat(rotation(72.0 * k as f32, (x, y)));
            drawing.fill(ellipse(x, y - 3.6, 2.3, 3.2), flat(colour, 1.0), None);
        }
        drawing.transform = place;
        drawing.fill(circle(x, y, 2.0), flat([222, 176, 80], 1.0), None);
    }
}

/// A soft contact shadow on the ground.
fn shadow(drawing: &mut Drawing, (x, y): (f32, f32)) {
    let place = drawing.transform;
    drawing.transform = place.pre_concat(tiny_skia::Transform::from_row(1.0, 0.0, 0.0, 0.18, x, y));
    soft_blob(drawing, (0.0, 0.0), 92.0, Ink([40, 44, 56], 0.42));
    drawing.transform = place;
}

fn dusk(drawing: &mut Drawing, draws: &mut Draws) {
    let (top, low) = (vary(draws, [182, 168, 194]), vary(draws, [248, 216, 178]));
    drawing.fill(below(0.0), fade(top, low, 0.0, H * 0.75), None);
    let (x, y) = (between(draws, 40.0, W - 40.0), between(draws, 190.0, 250.0));
    soft_blob(drawing, (x, y), 110.0, Ink([255, 240, 206], 0.9));
    drawing.fill(circle(x, y, 24.0), flat([255, 246, 222], 1.0), None);
    let mut level = H * 0.68;
    let mut colour = vary(draws, [184, 156, 160]);
    for _ in 0..3 {
        let (a, b) = (between(draws, -34.0, 30.0), between(draws, -34.0, 30.0));
        let ridge = closed(
            (-10.0, level + b * 0.4),
            &[
                [W * 0.25, level + a, W * 0.45, level - a, W * 0.6, level + b * 0.3],
                [W * 0.75, level + b, W * 0.9, level - b, W + 10.0, level],
                [W + 10.0, H, W + 10.0, H, W + 10.0, H + 10.0],
                [W * 0.6, H + 10.0, W * 0.3, H + 10.0, -10.0, H + 10.0],
            ],
        );
        drawing.fill(ridge, flat(colour, 1.0), None);
        colour = mix(colour, [96, 82, 104], 0.38);
        level += 36.0;
    }
}

fn branch(drawing: &mut Drawing, kind: Background, (x, y): (f32, f32), draws: &mut Draws) {
    let bark = vary(draws, [122, 98, 82]);
    let place = drawing.transform;
    drawing.transform = place.pre_concat(rotation(between(draws, -6.0, 6.0), (x, y)));
    let thick = between(draws, 7.0, 10.0);
    let (l, r) = (x - 330.0, x + 330.0);
    let sag = between(draws, -10.0, 16.0);
    let wood = closed(
        (l, y + sag - 2.0),
        &[
            [x - 180.0, y - 4.0, x - 60.0, y - 2.0, x, y - 2.0],
            [x + 90.0, y - 2.0, x + 200.0, y - 6.0, r, y + sag - 8.0],
            [x + 340.0, y + sag, r, y + sag, r, y + sag],
            [x + 200.0, y + thick * 1.3, x + 90.0, y + thick * 1.9, x, y + thick * 2.0],
            [x - 60.0, y + thick * 2.1, x - 180.0, y + thick * 2.2, l, y + sag + thick * 2.4],
        ],
    );
    // Twigs with leaves, away from the bird.
    let fresh = match kind {
        Background::Snow | Background::Dusk => [150, 132, 120],
        _ => [136, 158, 104],
    };
    for side in [-1.0, 1.0] {
        for _ in 0..1 + draws.below(3) {
            let at = (x + side * between(draws, 116.0, 185.0), y + between(draws, 0.0, 8.0));
            let up = between(draws, 25.0, 70.0) * if draws.chance(0.75) { -1.0 } else { 1.0 };
            let degrees = if side > 0.0 { up } else { 180.0 - up };
            let (colour, long) = (vary(draws, fresh), between(draws, 26.0, 42.0));
            leaf(drawing, at, degrees, long, colour);
        }
    }
    let (light, dark) = (mix(bark, WHITE, 0.25), mix(bark, [40, 30, 30], 0.5));
    drawing.fill(wood, fade(light, dark, y - 4.0, y + thick * 2.2), None);
    for _ in 0..7 {
        let (a, b) = (x + between(draws, -190.0, 190.0), y + between(draws, 3.0, thick * 1.6));
        let grain = open((a, b), &[[a + 10.0, b - 1.5, a + 18.0, b + 1.5, a + 30.0, b]]);
        drawing.stroke(grain, 1.4, Ink(dark, 0.5));
    }
    if kind == Background::Snow {
        let cap = open(
            (x - 190.0, y + sag * 0.3 - 2.0),
            &[[x - 150.0, y - 6.0, x - 90.0, y - 4.0, x - 44.0, y - 2.0]],
        );
        drawing.stroke(cap, 6.0, Ink([240, 244, 248], 1.0));
    }
    drawing.transform = place;
}
