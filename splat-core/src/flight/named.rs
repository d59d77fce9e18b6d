//! `cameras.json`: the training cameras, in the format of the 3DGS authors' code, which viewers read.

use std::io::Write as _;
use std::path::Path;

use glam::DVec3;

use crate::files::write_atomically;
use crate::text_file;
use crate::{
    Camera, Error, Exposure, Lens, LensCamera, LensModel, Pinhole, Pose, Result, RollingShutter,
    ShutterDirection,
};

/// A training camera by its photo's name.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedCamera {
    /// The photo's name.
    pub name: String,
    /// Whether its photo was held out of training.
    pub held_out: bool,
    /// The camera at training size; for a lens with distortion its pinhole approximation.
    pub camera: Camera,
    /// The lens, if it has distortion and photos kept it.
    pub lens: Option<Lens>,
    /// The rolling shutter, if photos kept it.
    pub rolling_shutter: Option<RollingShutter>,
    /// Exposure of its photo relative to the scene; `None` if the run did not measure it.
    pub exposure: Option<Exposure>,
}

impl NamedCamera {
    /// The camera for [`crate::RendererKind::Gut`], with lens and shutter.
    #[must_use]
    pub fn lens_camera(&self) -> LensCamera {
        let Camera { intrinsics, cam_from_world } = self.camera;
        let lens = self.lens.clone().unwrap_or_else(|| Lens::pinhole(intrinsics));
        LensCamera { lens, cam_from_world, rolling_shutter: self.rolling_shutter }
    }
}

/// One entry of the file.
#[derive(serde::Serialize, serde::Deserialize)]
struct Entry {
    id: usize,
    img_name: String,
    #[serde(deserialize_with = "text_file::whole_u32")]
    width: u32,
    #[serde(deserialize_with = "text_file::whole_u32")]
    height: u32,
    #[serde(flatten)]
    pose: StoredPose,
    /// Extension: world coordinates of the origin of positions, as for the PLY beside the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<[f64; 3]>,
    fx: f64,
    fy: f64,
    /// Extension; without it the principal point is the image's centre.
    #[serde(default)]
    cx: Option<f64>,
    /// Extension, as `cx`.
    #[serde(default)]
    cy: Option<f64>,
    /// Extension.
    #[serde(default)]
    held_out: bool,
    /// Extension: COLMAP's name of a camera model with distortion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lens_model: Option<String>,
    /// Extension: that model's parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lens_params: Vec<f64>,
    /// Extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rolling_shutter: Option<ShutterEntry>,
    /// Extension: factors of red, green and blue, see [`Exposure::factors`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exposure: Option<[f64; 3]>,
    /// Extension: logarithm of the brightness in the corners, see [`Exposure::vignette`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vignette: Option<f64>,
}

/// A camera's pose.
#[derive(serde::Serialize, serde::Deserialize)]
struct StoredPose {
    /// Camera centre in the world.
    position: [f64; 3],
    /// Rows of the rotation world_from_cam.
    rotation: [[f64; 3]; 3],
}

/// Its poses when the first and the last line were read.
#[derive(serde::Serialize, serde::Deserialize)]
struct ShutterEntry {
    direction: ShutterDirection,
    start: StoredPose,
    end: StoredPose,
}

impl StoredPose {
    fn new(cam_from_world: &Pose, origin: DVec3) -> Self {
        Self {
            position: cam_from_world.rebased(origin, 1.0).centre().to_array(),
            rotation: cam_from_world.camera_rows(),
        }
    }
}

impl StoredPose {
    /// World to camera; `None` if the numbers are not a pose.
    fn cam_from_world(&self, origin: DVec3) -> Option<Pose> {
        Pose::of_camera((origin + DVec3::from_array(self.position)).to_array(), self.rotation)
    }
}

/// Writes the cameras, with positions relative to `origin`, as for the PLY beside them; [`read_cameras`] adds it back.
///
/// # Errors
/// [`Error::Write`].
pub fn write_cameras(path: &Path, cameras: &[NamedCamera], origin: [f64; 3]) -> Result<()> {
    let json = cameras_json(cameras, origin);
    write_atomically(path, |out| out.write_all(&json))
}

/// The content that [`write_cameras`] writes.
#[must_use]
pub fn cameras_json(cameras: &[NamedCamera], origin: [f64; 3]) -> Vec<u8> {
    let stated = (origin != [0.0; 3]).then_some(origin);
    let origin = DVec3::from_array(origin);
    let entries: Vec<_> = cameras
        .iter()
        .enumerate()
        .map(|(id, named)| {
            let Camera { intrinsics, cam_from_world } = named.camera;
            Entry {
                id,
                img_name: named.name.clone(),
                width: intrinsics.width,
                height: intrinsics.height,
                pose: StoredPose::new(&cam_from_world, origin),
                origin: stated,
                fx: intrinsics.fx,
                fy: intrinsics.fy,
                cx: Some(intrinsics.cx),
                cy: Some(intrinsics.cy),
                held_out: named.held_out,
                lens_model: named.lens.as_ref().map(|lens| lens.model.name().to_owned()),
                lens_params: named.lens.as_ref().map(|lens| lens.params.clone()).unwrap_or_default(),
                rolling_shutter: named.rolling_shutter.map(|shutter| ShutterEntry {
                    direction: shutter.direction,
                    start: StoredPose::new(&shutter.start, origin),
                    end: StoredPose::new(&shutter.end, origin),
                }),
                exposure: named.exposure.map(|exposure| exposure.factors),
                vignette: named
                    .exposure
                    .map(|exposure| exposure.vignette)
                    .filter(|vignette| *vignette != 0.0),
            }
        })
        .collect();
    // Numbers and strings, which can always be serialized.
    serde_json::to_vec(&entries).unwrap_or_else(|_| b"[]".to_vec())
}

/// Reads the cameras, in world coordinates, written by this project or by the authors' code.
///
/// # Errors
/// [`Error::Read`], or [`Error::Malformed`] if it is another kind of file or has invalid numbers.
pub fn read_cameras(path: &Path) -> Result<Vec<NamedCamera>> {
    const FORMAT: &str = "cameras.json";
    let malformed = |what: String| Error::Malformed { path: path.to_path_buf(), format: FORMAT, what };
    let entries: Vec<Entry> = text_file::read_json(path, FORMAT)?;
    entries.into_iter().map(|entry| named(entry).map_err(&malformed)).collect()
}

fn named(entry: Entry) -> Result<NamedCamera, String> {
    let bad = |what: &str| format!("camera {} (`{}`) {what}", entry.id, entry.img_name);
    let Entry { width, height, fx, fy, .. } = entry;
    if width == 0 || height == 0 || !(fx > 0.0 && fx.is_finite() && fy > 0.0 && fy.is_finite()) {
        return Err(bad("has no usable image size or focal length"));
    }
    let origin = DVec3::from_array(entry.origin.unwrap_or_default());
    if !origin.is_finite() {
        return Err(bad("has no usable origin"));
    }
    let Some(cam_from_world) = entry.pose.cam_from_world(origin) else {
        return Err(bad("has no usable pose"));
    };
    let intrinsics = Pinhole {
        width,
        height,
        fx,
        fy,
        cx: entry.cx.unwrap_or(f64::from(width) / 2.0),
        cy: entry.cy.unwrap_or(f64::from(height) / 2.0),
    };
    let lens = match &entry.lens_model {
        Some(name) => {
            let model = LensModel::from_name(name).ok_or_else(|| bad("has a lens of an unknown model"))?;
            let lens = Lens { model, width, height, params: entry.lens_params.clone() };
            lens.validate().map_err(|error| bad(&format!("has an unusable lens: {error}")))?;
            Some(lens)
        }
        None => None,
    };
    let rolling_shutter = match &entry.rolling_shutter {
        Some(ShutterEntry { direction, start, end }) => {
            let (Some(start), Some(end)) = (start.cam_from_world(origin), end.cam_from_world(origin)) else {
                return Err(bad("has no usable pose at an end of its exposure"));
            };
            Some(RollingShutter { direction: *direction, start, end })
        }
        None => None,
    };
    let camera = Camera { intrinsics, cam_from_world };
    let vignette = entry.vignette.unwrap_or(0.0);
    let exposure = entry.exposure.map(|factors| Exposure { factors, vignette });
    if exposure.is_some_and(|exposure| !exposure.is_valid()) {
        return Err(bad("has no usable exposure"));
    }
    Ok(NamedCamera {
        name: entry.img_name,
        held_out: entry.held_out,
        camera,
        lens,
        rolling_shutter,
        exposure,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn cameras_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cameras.json");
        let pose = Pose::look_at(DVec3::new(1.0, -2.0, 3.0), DVec3::new(0.5, 0.0, 7.0), DVec3::Y);
        let intrinsics = Pinhole { width: 480, height: 360, fx: 400.0, fy: 401.0, cx: 238.0, cy: 183.5 };
        let camera = Camera { intrinsics, cam_from_world: pose };
        let plain = NamedCamera {
            name: "a/b.jpg".into(),
            held_out: true,
            camera,
            lens: None,
            rolling_shutter: None,
            exposure: Some(Exposure { factors: [0.5, 1.0, 1.25], vignette: -0.125 }),
        };
        let params = vec![400.0, 240.0, 180.0, 0.05];
        let lens = Lens { model: LensModel::SimpleRadialFisheye, width: 480, height: 360, params };
        let bent = NamedCamera { name: "c.jpg".into(), lens: Some(lens.clone()), ..plain.clone() };
        let rolling = RollingShutter {
            direction: ShutterDirection::BottomToTop,
            start: pose,
            end: Pose::look_at(DVec3::new(1.1, -2.0, 3.0), DVec3::new(0.5, 0.2, 7.0), DVec3::Y),
        };
        let moved = NamedCamera { name: "d.jpg".into(), rolling_shutter: Some(rolling), ..plain.clone() };
        write_cameras(&path, &[plain.clone(), bent, moved], [0.0; 3]).unwrap();
        let back = read_cameras(&path).unwrap();
        let shutter = back[2].lens_camera().rolling_shutter.unwrap();
        assert_eq!(shutter.direction, rolling.direction);
        for (read, written) in [(shutter.start, rolling.start), (shutter.end, rolling.end)] {
            assert!(read.to_matrix().abs_diff_eq(written.to_matrix(), 1e-12), "{read:?} {written:?}");
        }
        assert!(back[0].rolling_shutter.is_none() && back[1].rolling_shutter.is_none());
        assert_eq!((back[0].lens.as_ref(), back[1].lens.as_ref()), (None, Some(&lens)));
        assert_eq!(back[0].lens_camera().lens, Lens::pinhole(intrinsics));
        assert_eq!(back[1].lens_camera().lens, lens);
        assert_eq!((back[0].name.as_str(), back[0].held_out), ("a/b.jpg", true));
        assert_eq!(back[0].camera.intrinsics, intrinsics);
        let probe = DVec3::new(0.3, 0.4, 5.0);
        let moved = back[0].camera.cam_from_world.transform_point(probe) - pose.transform_point(probe);
        assert!(moved.length() < 1e-12, "{moved}");
        // The file's position and rotation are the camera's in the world, as viewers expect.
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let forward = [2, 1, 0].map(|row| json[0]["rotation"][row][2].as_f64().unwrap());
        let expected = DVec3::new(-0.5, 2.0, 4.0).normalize();
        assert!((DVec3::new(forward[2], forward[1], forward[0]) - expected).length() < 1e-12);
        assert!((json[0]["position"][1].as_f64().unwrap() + 2.0).abs() < 1e-12);
        // Far off, positions count from an origin, and reading gives the world's again.
        let origin = DVec3::new(5e6, -4e5, 100.0);
        let far = pose.rebased(-origin, 1.0);
        let camera = Camera { intrinsics, cam_from_world: far };
        write_cameras(&path, &[NamedCamera { camera, ..plain }], origin.to_array()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert!((json[0]["position"][1].as_f64().unwrap() + 2.0).abs() < 1e-8);
        let back = read_cameras(&path).unwrap()[0].camera.cam_from_world.centre();
        assert!((back - far.centre()).length() < 1e-8, "{back}");
    }

    #[test]
    fn nonsense_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cameras.json");
        for text in [
            "",
            "{}",
            r#"[{"id":0,"img_name":"a","width":0,"height":1,"position":[0,0,0],"rotation":[[1,0,0],[0,1,0],[0,0,1]],"fx":1,"fy":1}]"#,
            r#"[{"id":0,"img_name":"a","width":1,"height":1,"position":[0,0,0],"rotation":[[1,0,0],[0,1,0],[0,0,-1]],"fx":1,"fy":1}]"#,
            r#"[{"id":0,"img_name":"a","width":1,"height":1,"position":[0,0,0],"rotation":[[1,0,0],[0,1,0],[0,0,1]],"fx":1,"fy":-1}]"#,
            r#"[{"id":0,"img_name":"a","width":1,"height":1,"position":[0,0,0],"rotation":[[1,0,0],[0,1,0],[0,0,1]],"fx":1,"fy":1,"lens_model":"PERISCOPE"}]"#,
            r#"[{"id":0,"img_name":"a","width":1,"height":1,"position":[0,0,0],"rotation":[[1,0,0],[0,1,0],[0,0,1]],"fx":1,"fy":1,"lens_model":"FOV","lens_params":[1]}]"#,
            r#"[{"id":0,"img_name":"a","width":1,"height":1,"position":[0,0,0],"rotation":[[1,0,0],[0,1,0],[0,0,1]],"fx":1,"fy":1,"rolling_shutter":{"direction":"top_to_bottom","start":{"position":[0,0,0],"rotation":[[1,0,0],[0,1,0],[0,0,1]]},"end":{"position":[0,0,0],"rotation":[[1,0,0],[0,1,0],[0,0,-1]]}}}]"#,
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(read_cameras(&path), Err(Error::Malformed { .. })), "{text}");
        }
    }
}
