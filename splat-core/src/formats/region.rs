//! Regions, to crop a scene.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::SplatScene;

/// A region of space, in world units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Region {
    /// Between two corners: the lower and the upper one.
    Box([f64; 3], [f64; 3]),
    /// Centre and radius; the radius is positive.
    Sphere([f64; 3], f64),
}

/// A text that is not a valid region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no shape; give box:X0,Y0,Z0,X1,Y1,Z1 or sphere:X,Y,Z,RADIUS")]
pub struct NotARegion(String);

impl FromStr for Region {
    type Err = NotARegion;

    fn from_str(text: &str) -> Result<Self, NotARegion> {
        let refuse = || NotARegion(text.chars().take(200).collect());
        let (shape, numbers) = text.split_once(':').ok_or_else(refuse)?;
        let numbers: Option<Vec<f64>> = numbers
            .split(',')
            .map(|number| number.trim().parse().ok().filter(|number: &f64| number.is_finite()))
            .collect();
        match (shape, numbers.ok_or_else(refuse)?[..].as_ref()) {
            ("box", &[x0, y0, z0, x1, y1, z1]) => {
                Ok(Self::Box([x0.min(x1), y0.min(y1), z0.min(z1)], [x0.max(x1), y0.max(y1), z0.max(z1)]))
            }
            ("sphere", &[x, y, z, radius]) if radius > 0.0 => Ok(Self::Sphere([x, y, z], radius)),
            _ => Err(refuse()),
        }
    }
}

impl TryFrom<String> for Region {
    type Error = NotARegion;

    fn try_from(text: String) -> Result<Self, NotARegion> {
        text.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.to_string()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shape, numbers) = match self {
            Self::Box(low, high) => ("box", [&low[..], &high[..]].concat()),
            Self::Sphere(centre, radius) => ("sphere", [&centre[..], &[*radius]].concat()),
        };
        let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
        write!(f, "{shape}:{}", numbers.join(","))
    }
}

impl Region {
    /// Whether a point in world coordinates is inside or on the surface.
    #[must_use]
    pub fn holds(&self, point: [f64; 3]) -> bool {
        match self {
            Self::Box(low, high) => (0..3).all(|axis| (low[axis]..=high[axis]).contains(&point[axis])),
            Self::Sphere(centre, radius) => {
                let squared: f64 = point.iter().zip(centre).map(|(a, b)| (a - b) * (a - b)).sum();
                squared <= radius * radius
            }
        }
    }
}

impl SplatScene {
    /// Keeps the Gaussians whose centres are inside the region; returns the number removed. The region is in world coordinates,
    /// means are relative to the scene's origin.
    pub fn keep_region(&mut self, region: &Region) -> usize {
        let origin = self.origin;
        self.cloud.keep_inside(|mean| {
            region.holds(std::array::from_fn(|axis| f64::from(mean[axis]) + origin[axis]))
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_its_text() {
        for (text, same) in [
            ("box:0,0,0,1,2,3", "box:0,0,0,1,2,3"),
            ("box:1,2,3, 0,-0.5,0", "box:0,-0.5,0,1,2,3"),
            ("sphere:1e3,0,0,2.5", "sphere:1000,0,0,2.5"),
        ] {
            let region: Region = text.parse().unwrap();
            assert_eq!(region.to_string(), same);
            assert_eq!(same.parse::<Region>().unwrap(), region);
            assert_eq!(serde_json::to_value(region).unwrap(), same);
        }
        for text in
            ["", "box", "box:1,2,3", "sphere:0,0,0,0", "sphere:0,0,0,-1", "box:0,0,0,1,1,inf", "cone:1,2"]
        {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
    }
}
