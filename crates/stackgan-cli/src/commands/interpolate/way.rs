//! The path of an animation: its stops, and the positions of the frames between them.

use anyhow::Result;
use candle_core::Tensor;
use stackgan_core::{GeneratorNoise, Sampling, interpolation};

use crate::painting::Painter;

/// At least two stops, and the number of frames from the first to the last.
pub(super) struct Way {
    pub(super) stops: Vec<Stop>,
    /// At least as many as stops.
    pub(super) frames: usize,
}

/// A sentence and a seed, painted as `generate` does.
pub(super) struct Stop {
    pub(super) caption: String,
    pub(super) seed: u64,
}

/// The position of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    /// Index of the previous stop; never the last one.
    from: usize,
    /// Fraction of the path to the next stop.
    part: f64,
}

/// A stop in the form that the networks take.
pub(super) struct Point {
    /// Embedding `(1, text_dim)`.
    text: Tensor,
    noise: GeneratorNoise,
}

impl Way {
    /// The position of each frame. Every stop is a frame; between them frames are as even as this
    /// allows.
    pub(super) fn places(&self) -> Vec<Place> {
        let legs = self.stops.len() - 1;
        let frame_of = |stop: usize| (2 * stop * (self.frames - 1) + legs) / (2 * legs);
        let place = |frame: usize| {
            let from = (0..legs).rev().find(|stop| frame_of(*stop) <= frame).unwrap_or(0);
            let (first, next) = (frame_of(from), frame_of(from + 1));
            Place { from, part: (frame - first) as f64 / (next - first) as f64 }
        };
        (0..self.frames).map(place).collect()
    }

    /// The stop that a frame is at, if any.
    pub(super) fn stop(&self, place: Place) -> Option<&Stop> {
        match place.part {
            0.0 => self.stops.get(place.from),
            1.0 => self.stops.get(place.from + 1),
            _ => None,
        }
    }

    /// The stops in the form that the networks take.
    ///
    /// # Errors
    /// When the model has no encoder.
    pub(super) fn points(&self, painter: &Painter) -> Result<Vec<Point>> {
        let point = |stop: &Stop| {
            let text = painter.named.model.encode(&[stop.caption.as_str()])?;
            Ok(Point { text, noise: painter.named.model.noise(&[stop.seed], painter.sampling)? })
        };
        self.stops.iter().map(point).collect()
    }
}

impl Point {
    /// Embeddings and noise of some frames between this point and the next.
    pub(super) fn toward(&self, next: &Self, parts: &[f64]) -> Result<(Tensor, GeneratorNoise)> {
        let text = interpolation::lerp(&self.text, &next.text, parts)?;
        Ok((text, self.noise.toward(&next.noise, parts)?))
    }
}

/// Groups frames that are painted together: between the same two stops, and at most as many as
/// `sampling` allows. Returns the previous stop, and each frame's fraction of the path.
pub(super) fn batches(places: &[Place], sampling: Sampling) -> Vec<(usize, Vec<f64>)> {
    let legs = places.chunk_by(|a, b| a.from == b.from);
    let batches = legs.flat_map(|leg| leg.chunks(sampling.chunk.max(1)));
    let batch = |batch: &[Place]| {
        let from = batch.first().map_or(0, |place| place.from);
        (from, batch.iter().map(|place| place.part).collect())
    };
    batches.map(batch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(stops: u64, frames: usize) -> Way {
        let stop = |seed| Stop { caption: "a bird".to_owned(), seed };
        Way { stops: (0..stops).map(stop).collect(), frames }
    }

    #[test]
    fn every_stop_is_a_frame_and_the_rest_is_even() {
        let parts = |way: &Way| -> Vec<(usize, f64)> {
            way.places().iter().map(|place| (place.from, place.part)).collect()
        };
        assert_eq!(parts(&way(2, 3)), [(0, 0.0), (0, 0.5), (0, 1.0)]);
        assert_eq!(parts(&way(3, 5)), [(0, 0.0), (0, 0.5), (1, 0.0), (1, 0.5), (1, 1.0)]);
        for (stops, frames) in [(2, 2), (4, 60), (7, 11), (5, 5)] {
            let way = way(stops, frames);
            let places = way.places();
            assert_eq!(places.len(), frames);
            let met: Vec<u64> =
                places.iter().filter_map(|p| way.stop(*p)).map(|stop| stop.seed).collect();
            assert_eq!(met, (0..stops).collect::<Vec<_>>(), "{stops} stops, {frames} frames");
            assert!(places.iter().all(|place| (0.0..=1.0).contains(&place.part)));
        }
    }

    #[test]
    fn batches_are_of_one_leg_and_bounded() {
        let way = way(3, 9);
        let sampling = Sampling { chunk: 3, ..Sampling::default() };
        let batches = batches(&way.places(), sampling);
        let sizes: Vec<_> = batches.iter().map(|(from, parts)| (*from, parts.len())).collect();
        assert_eq!(sizes, [(0, 3), (0, 1), (1, 3), (1, 2)]);
        let parts: Vec<f64> = batches.into_iter().flat_map(|(_, parts)| parts).collect();
        assert_eq!(parts, way.places().iter().map(|place| place.part).collect::<Vec<_>>());
    }
}
