//! AVIF: the container is parsed by `avif-parse`, AV1 decoded by rav1d, colours converted as for HEIC.

use avif_parse::AvifData;
use heic_decoder::{AlphaPlane, ChromaSampling, ColorInfo, DecodedImage, Metadata};
use re_rav1d::dav1d::{Decoder, Picture, PixelLayout, PlanarImageComponent as Plane, Settings, pixel};

use super::boxes;
use super::exif::Orientation;

/// Header of an AVIF.
pub(super) struct Header {
    /// Size of the upright image, in pixels.
    pub(super) size: [u32; 2],
    pub(super) has_alpha: bool,
    /// The transformation of the decoded image to upright.
    pub(super) turn: Orientation,
}

/// Reads an AVIF's header; nothing is decoded.
pub(super) fn header(bytes: &[u8]) -> Result<Header, String> {
    let data = parse(bytes)?;
    let av1 = data.primary_item_metadata().map_err(|error| error.to_string())?;
    let (width, height) = (av1.max_frame_width.get(), av1.max_frame_height.get());
    let turn = boxes::turn(bytes);
    let size = if turn.swaps_axes() { [height, width] } else { [width, height] };
    Ok(Header { size, has_alpha: data.alpha_item.is_some(), turn })
}

/// Decodes an AVIF, without applying its rotation.
pub(super) fn decode(bytes: &[u8]) -> Result<DecodedImage, String> {
    let data = parse(bytes)?;
    let mut picture = planes(&av1(&data.primary_item)?)?;
    if let Some(alpha) = &data.alpha_item {
        let alpha = planes(&av1(alpha)?)?;
        if (alpha.width, alpha.height) != (picture.width, picture.height) {
            return Err("its alpha channel has another size than its colours".into());
        }
        picture.alpha = Some(AlphaPlane {
            bit_depth: alpha.bit_depth_luma,
            samples: alpha.y,
            premultiplied: data.premultiplied_alpha,
        });
    }
    Ok(picture)
}

fn parse(bytes: &[u8]) -> Result<AvifData, String> {
    // Files may have the container as major brand and AVIF as a compatible one; the parser expects the opposite.
    let (size, rest) = (bytes.get(..8).unwrap_or_default(), bytes.get(12..).unwrap_or_default());
    let mut reader = std::io::Read::chain(std::io::Read::chain(size, &b"avif"[..]), rest);
    AvifData::from_reader(&mut reader).map_err(|error| error.to_string())
}

/// Decodes an AV1 stream.
fn av1(stream: &[u8]) -> Result<Picture, String> {
    let mut settings = Settings::new();
    // Photos are already decoded on all cores, one per core.
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_frame_size_limit(u32::try_from(super::MAX_PIXELS).unwrap_or(u32::MAX));
    let mut decoder = Decoder::with_settings(&settings).map_err(|error| error.to_string())?;
    // Data that the decoder did not accept is sent again before each attempt to get an image.
    match decoder.send_data(stream.to_vec(), None, None, None) {
        Err(error) if !error.is_again() => return Err(format!("its AV1 stream is damaged: {error}")),
        _ => {}
    }
    /// Of an animation, only the first image is used. An image takes one attempt, and one more if data was left.
    const LOOKS: usize = 8;
    for _ in 0..LOOKS {
        match decoder.get_picture() {
            Ok(picture) => return Ok(picture),
            Err(error) if error.is_again() => {}
            Err(error) => return Err(format!("its AV1 stream is damaged: {error}")),
        }
        match decoder.send_pending_data() {
            Err(error) if !error.is_again() => return Err(format!("its AV1 stream is damaged: {error}")),
            _ => {}
        }
    }
    Err("its AV1 stream holds no picture".into())
}

/// The samples of a decoded image.
fn planes(picture: &Picture) -> Result<DecodedImage, String> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let bits = picture.bits_per_component().map_or(8, |bits| bits.0 as u32);
    let (format, sub_x, sub_y) = match picture.pixel_layout() {
        PixelLayout::I400 => (0, 1, 1),
        PixelLayout::I420 => (1, 2, 2),
        PixelLayout::I422 => (2, 2, 1),
        PixelLayout::I444 => (3, 1, 1),
    };
    let (cb_width, cb_height) =
        if format == 0 { (0, 0) } else { (width.div_ceil(sub_x), height.div_ceil(sub_y)) };
    let samples = |plane, width, height| samples(picture, plane, bits, width, height);
    let [cb, cr] = match format {
        0 => [Vec::new(), Vec::new()],
        _ => [samples(Plane::U, cb_width, cb_height)?, samples(Plane::V, cb_width, cb_height)?],
    };
    Ok(DecodedImage {
        alpha: None,
        width,
        height,
        bit_depth_luma: bits,
        bit_depth_chroma: bits,
        chroma_format_idc: format,
        color_info: Some(colours(picture)),
        // Still images do not specify it in practice, and other decoders assume the centre.
        chroma_sampling: ChromaSampling {
            sub_x: sub_x as u32,
            sub_y: sub_y as u32,
            origin_x: (sub_x - 1) as f32 / 2.0,
            origin_y: (sub_y - 1) as f32 / 2.0,
        },
        y: samples(Plane::Y, width, height)?,
        cb,
        cr,
        cb_width,
        cb_height,
        metadata: Metadata::default(),
    })
}

fn samples(
    picture: &Picture,
    plane: Plane,
    bits: u32,
    width: usize,
    height: usize,
) -> Result<Vec<i32>, String> {
    let stride = picture.stride(plane) as usize;
    let plane = picture.plane(plane);
    let rows = plane.chunks(stride.max(1)).take(height);
    let samples: Vec<i32> = if bits == 8 {
        rows.flat_map(|row| row.iter().take(width)).map(|&sample| i32::from(sample)).collect()
    } else {
        let pairs = rows.flat_map(|row| row.as_chunks::<2>().0.iter().take(width));
        pairs.map(|&pair| i32::from(u16::from_ne_bytes(pair))).collect()
    };
    if samples.len() == width * height { Ok(samples) } else { Err("its AV1 stream breaks off".into()) }
}

/// Matrix coefficients and range, by the numbers of ITU-T H.273.
fn colours(picture: &Picture) -> ColorInfo {
    use pixel::MatrixCoefficients as Matrix;
    let matrix = match picture.matrix_coefficients() {
        Matrix::Identity => 0,
        Matrix::BT709 => 1,
        Matrix::BT470M => 4,
        Matrix::ST240M => 7,
        Matrix::BT2020NonConstantLuminance => 9,
        // Unspecified is treated as in JPEG.
        Matrix::BT470BG | Matrix::ST170M | Matrix::Unspecified => 6,
        // Not supported; the conversion returns an error.
        _ => u16::MAX,
    };
    let full_range = picture.color_range() == pixel::YUVRange::Full;
    ColorInfo { matrix_coefficients: matrix, full_range, ..ColorInfo::default() }
}
