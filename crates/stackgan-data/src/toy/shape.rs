//! A drawing as a list of filled and stroked paths, with two renderings: an anti-aliased picture,
//! and a map of the part that each pixel shows.

use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Mask, Paint, Path,
    PathBuilder, Pixmap, Point, RadialGradient, Rect, Shader, SpreadMode, Stroke, Transform,
};

use super::colour::Rgb;

/// Width of a picture in pixels.
pub(super) const WIDTH: u32 = 420;
/// Height of a picture in pixels.
pub(super) const HEIGHT: u32 = 380;

/// What a pixel of the label map shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Part {
    /// Not the bird.
    Background = 0,
    /// Head, back and breast.
    Body = 1,
    /// The folded wing.
    Wing = 2,
    /// The belly.
    Belly = 3,
    /// The cap of the head.
    Crown = 4,
    /// Beak, eye, legs and tail.
    Other = 5,
}

/// How the edges of shapes are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edges {
    /// Anti-aliased.
    Smooth,
    /// A pixel is inside or outside.
    Hard,
}

impl Edges {
    fn are_smooth(self) -> bool {
        self == Self::Smooth
    }
}

/// An RGB colour with opacity in [0, 1].
#[derive(Clone, Copy, Debug)]
pub(super) struct Ink(pub(super) Rgb, pub(super) f32);

impl Ink {
    fn color(self) -> Color {
        let [r, g, b] = self.0;
        Color::from_rgba8(r, g, b, (self.1.clamp(0.0, 1.0) * 255.0).round() as u8)
    }
}

/// The colour of a shape. Coordinates are those of the path, before its transform.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fill {
    /// One colour.
    Flat(Ink),
    /// From one colour to another along a line.
    Linear { from: (f32, f32), to: (f32, f32), start: Ink, end: Ink },
    /// From a centre outwards.
    Radial { centre: (f32, f32), radius: f32, start: Ink, end: Ink },
}

impl Fill {
    fn shader(self) -> Shader<'static> {
        let stops = |a: Ink, b: Ink| {
            vec![GradientStop::new(0.0, a.color()), GradientStop::new(1.0, b.color())]
        };
        let point = |(x, y): (f32, f32)| Point::from_xy(x, y);
        let (gradient, fallback) = match self {
            Self::Flat(ink) => (None, ink),
            Self::Linear { from, to, start, end } => (
                LinearGradient::new(
                    point(from),
                    point(to),
                    stops(start, end),
                    SpreadMode::Pad,
                    Transform::identity(),
                ),
                start,
            ),
            Self::Radial { centre, radius, start, end } => (
                RadialGradient::new(
                    point(centre),
                    point(centre),
                    radius,
                    stops(start, end),
                    SpreadMode::Pad,
                    Transform::identity(),
                ),
                start,
            ),
        };
        gradient.unwrap_or_else(|| Shader::SolidColor(fallback.color()))
    }
}

/// Filled, or stroked with a pen of this width (in the path's units).
#[derive(Clone, Copy, Debug)]
enum Mode {
    Fill,
    Stroke(f32),
}

#[derive(Debug)]
struct Layer {
    path: Path,
    transform: Transform,
    fill: Fill,
    mode: Mode,
    clip: Option<usize>,
    label: Option<Part>,
}

/// Shapes in the order in which they are drawn.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    layers: Vec<Layer>,
    clips: Vec<(Path, Transform)>,
    /// The transform of the shapes that are added next.
    pub(super) transform: Transform,
    /// The clip of the shapes that are added next.
    pub(super) clip: Option<usize>,
}

impl Drawing {
    /// Fills `path`. In the label map its pixels become `label`, or stay unchanged for `None`.
    pub(super) fn fill(&mut self, path: Option<Path>, fill: Fill, label: Option<Part>) {
        self.push(path, fill, Mode::Fill, label);
    }

    /// Strokes `path` with round ends. Strokes do not appear in the label map.
    pub(super) fn stroke(&mut self, path: Option<Path>, width: f32, ink: Ink) {
        self.push(path, Fill::Flat(ink), Mode::Stroke(width), None);
    }

    /// Strokes `path` as a leg, which is none of the named parts.
    pub(super) fn limb(&mut self, path: Option<Path>, width: f32, ink: Ink) {
        self.push(path, Fill::Flat(ink), Mode::Stroke(width), Some(Part::Other));
    }

    /// Makes `path` a region to which later shapes can be clipped through [`Drawing::clip`].
    pub(super) fn add_clip(&mut self, path: &Path) -> usize {
        self.clips.push((path.clone(), self.transform));
        self.clips.len() - 1
    }

    fn push(&mut self, path: Option<Path>, fill: Fill, mode: Mode, label: Option<Part>) {
        if let Some(path) = path {
            let (transform, clip) = (self.transform, self.clip);
            self.layers.push(Layer { path, transform, fill, mode, clip, label });
        }
    }

    fn masks(&self, edges: Edges) -> Vec<Option<Mask>> {
        let draw = |(path, transform): &(Path, Transform)| {
            let mut mask = Mask::new(WIDTH, HEIGHT)?;
            mask.fill_path(path, FillRule::Winding, edges.are_smooth(), *transform);
            Some(mask)
        };
        self.clips.iter().map(draw).collect()
    }

    /// The anti-aliased picture: `WIDTH` x `HEIGHT` RGB bytes, row by row.
    pub(super) fn picture(&self) -> Vec<u8> {
        let masks = self.masks(Edges::Smooth);
        let Some(mut canvas) = Pixmap::new(WIDTH, HEIGHT) else { return Vec::new() };
        canvas.fill(Color::WHITE);
        for layer in &self.layers {
            layer.paint(&mut canvas, layer.fill.shader(), Edges::Smooth, &masks);
        }
        // The canvas is opaque, so premultiplied colours equal the colours.
        canvas.data().chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect()
    }

    /// The part that each pixel shows: `WIDTH` x `HEIGHT` values of [`Part`], without anti-aliasing.
    pub(super) fn labels(&self) -> Vec<u8> {
        let masks = self.masks(Edges::Hard);
        let Some(mut canvas) = Pixmap::new(WIDTH, HEIGHT) else { return Vec::new() };
        canvas.fill(Color::from_rgba8(Part::Background as u8, 0, 0, 255));
        for layer in &self.layers {
            if let Some(label) = layer.label {
                let shader = Shader::SolidColor(Color::from_rgba8(label as u8, 0, 0, 255));
                layer.paint(&mut canvas, shader, Edges::Hard, &masks);
            }
        }
        canvas.data().chunks_exact(4).map(|p| p[0]).collect()
    }

    /// The bounding rectangle of everything that is labelled as bird: `[left, top, right, bottom]`
    /// in pixels.
    pub(super) fn bounds(&self) -> [f32; 4] {
        let mut all = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
        for layer in self.layers.iter().filter(|l| l.label.is_some() && l.clip.is_none()) {
            let Some(b) = layer.outline() else { continue };
            all = [
                all[0].min(b.left()),
                all[1].min(b.top()),
                all[2].max(b.right()),
                all[3].max(b.bottom()),
            ];
        }
        all
    }
}

impl Layer {
    fn paint(&self, canvas: &mut Pixmap, shader: Shader<'_>, edges: Edges, masks: &[Option<Mask>]) {
        let paint = Paint { shader, anti_alias: edges.are_smooth(), ..Paint::default() };
        let mask = self.clip.and_then(|c| masks.get(c)).and_then(Option::as_ref);
        match self.mode {
            Mode::Fill => {
                canvas.fill_path(&self.path, &paint, FillRule::Winding, self.transform, mask);
            }
            Mode::Stroke(width) => {
                canvas.stroke_path(&self.path, &paint, &pen(width), self.transform, mask);
            }
        }
    }

    /// Tight bounds of the area that the layer covers on the canvas.
    fn outline(&self) -> Option<Rect> {
        let path = match self.mode {
            Mode::Fill => self.path.clone(),
            Mode::Stroke(width) => self.path.stroke(&pen(width), 4.0)?,
        };
        path.transform(self.transform)?.compute_tight_bounds()
    }
}

fn pen(width: f32) -> Stroke {
    Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() }
}

/// A rotation by `degrees` (clockwise on the screen) about a point. `libm` makes it equal on every
/// platform.
pub(super) fn rotation(degrees: f32, (x, y): (f32, f32)) -> Transform {
    let angle = degrees.to_radians();
    let (sin, cos) = (libm::sinf(angle), libm::cosf(angle));
    Transform::from_row(cos, sin, -sin, cos, x - cos * x + sin * y, y - sin * x - cos * y)
}

/// A closed outline of cubic curves; each entry is two control points and an end point.
pub(super) fn closed(start: (f32, f32), curves: &[[f32; 6]]) -> Option<Path> {
    let mut p = curved(start, curves);
    p.close();
    p.finish()
}

/// An open line of cubic curves.
pub(super) fn open(start: (f32, f32), curves: &[[f32; 6]]) -> Option<Path> {
    curved(start, curves).finish()
}

fn curved(start: (f32, f32), curves: &[[f32; 6]]) -> PathBuilder {
    let mut p = PathBuilder::new();
    p.move_to(start.0, start.1);
    for &[a, b, c, d, x, y] in curves {
        p.cubic_to(a, b, c, d, x, y);
    }
    p
}

/// Straight lines through `points`, open.
pub(super) fn lines(points: &[(f32, f32)]) -> Option<Path> {
    let mut p = PathBuilder::new();
    let mut points = points.iter();
    let first = points.next()?;
    p.move_to(first.0, first.1);
    for &(x, y) in points {
        p.line_to(x, y);
    }
    p.finish()
}

pub(super) fn circle(x: f32, y: f32, r: f32) -> Option<Path> {
    PathBuilder::from_circle(x, y, r)
}

/// An axis-parallel ellipse.
pub(super) fn ellipse(x: f32, y: f32, rx: f32, ry: f32) -> Option<Path> {
    PathBuilder::from_oval(Rect::from_xywh(x - rx, y - ry, 2.0 * rx, 2.0 * ry)?)
}

/// The whole canvas from `top` down.
pub(super) fn below(top: f32) -> Option<Path> {
    Some(PathBuilder::from_rect(Rect::from_ltrb(0.0, top, WIDTH as f32, HEIGHT as f32)?))
}
