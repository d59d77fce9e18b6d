//! Every kernel as WebGPU sees it, without an adapter: it validates with no more than [`Gpu::new`] asks for, keeps to
//! WebGPU's default limits, and agrees with the host on every offset and constant.
//!
//! [`Gpu::new`]: splat_core::gpu::Gpu::new

use std::collections::BTreeSet;
use std::fs;
use std::mem::{offset_of, size_of};
use std::path::Path;

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use splat_core::RendererKind;
use splat_core::descriptors::BestTwo;
use splat_core::gpu::layout::{
    self, Counters, DescriptorGroup, GatherSource, Gaussian, StepReport, TrainUniform, ViewUniform,
};
use splat_core::gpu::shaders::{self, CameraModule, LaneSums, Source, Switches};

/// Sizes of subgroups that [`splat_core::gpu::Gpu::new`] accepts and that adapters have.
const LANES: [u32; 5] = [4, 8, 16, 32, 64];

/// Every combination for EWA; for 3DGUT each camera model and shutter, with everything on and everything off; all of them for whole
/// views and for depth slices.
fn all_switches() -> impl Iterator<Item = Switches> {
    let ewa = (0..8_u32).map(|bits| Switches {
        depth: bits & 1 != 0,
        abs_gradient: bits & 2 != 0,
        pose: bits & 4 != 0,
        ..Switches::default()
    });
    let gut = CameraModule::ALL.into_iter().flat_map(|camera| {
        [(false, false), (true, false), (false, true), (true, true)].map(|(on, rolling)| Switches {
            depth: on,
            pose: on,
            renderer: RendererKind::Gut,
            camera,
            rolling,
            ..Switches::default()
        })
    });
    ewa.chain(gut).flat_map(|switches| [false, true].map(|sliced| Switches { sliced, ..switches }))
}

fn parse(source: &Source, lanes: u32, sums: LaneSums, switches: Switches) -> naga::Module {
    parse_text(source, &source.text(lanes, sums, switches))
}

fn parse_text(source: &Source, text: &str) -> naga::Module {
    naga::front::wgsl::parse_str(text)
        .unwrap_or_else(|error| panic!("{}.wgsl: {}", source.name, error.emit_to_string(text)))
}

/// Validates with what the device was opened with: nothing beyond core WebGPU but, if used, subgroups.
fn validate(source: &Source, module: &naga::Module, sums: LaneSums) -> ModuleInfo {
    let asked_for = if sums.uses_subgroups() { Capabilities::SUBGROUP } else { Capabilities::empty() };
    let mut validator = Validator::new(ValidationFlags::all(), asked_for);
    validator.validate(module).unwrap_or_else(|error| panic!("{}.wgsl: {error:?}", source.name))
}

/// Calls `check` with every text that a kernel can have: constants that it does not use change nothing about it.
fn for_each_variant(mut check: impl FnMut(&Source, u32, LaneSums, &naga::Module)) {
    let (mut texts, mut checked) = (0, BTreeSet::new());
    for source in shaders::ALL {
        for lanes in LANES {
            for sums in LaneSums::ALL {
                for switches in all_switches() {
                    texts += 1;
                    let text = source.text(lanes, sums, switches);
                    // What is compiled: the text without the constants in front of it that it never names.
                    let (constants, body) =
                        text.split_at(text.find("// types:").expect("types.wgsl is part of it"));
                    let code: String = body.lines().filter_map(|line| line.split("//").next()).collect();
                    let used: Vec<&str> = constants
                        .lines()
                        .filter(|line| {
                            let name = line.split([' ', ':']).nth(1).expect("a constant has a name");
                            code.contains(name)
                        })
                        .collect();
                    if checked.insert((source.name, used.join("\n"), body.to_owned())) {
                        check(source, lanes, sums, &parse_text(source, &text));
                    }
                }
            }
        }
    }
    assert_eq!(texts, shaders::ALL.len() * LANES.len() * LaneSums::ALL.len() * all_switches().count());
    assert!(checked.len() > shaders::ALL.len() * LANES.len(), "variants were left out");
}

#[test]
fn every_kernel_validates_with_what_the_device_is_asked_for() {
    let mut with_subgroups = 0;
    for_each_variant(|source, _, sums, module| {
        validate(source, module, sums);
        // That the capability is checked at all shows where it is needed.
        let plain = Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(module);
        with_subgroups += u32::from(plain.is_err());
    });
    assert!(with_subgroups > 0, "no kernel uses subgroups: the check tests nothing");
}

/// Every kernel can be written in the language of each backend: what Vulkan, DX12 and Metal drivers are given.
#[test]
fn every_kernel_translates_to_spirv_hlsl_and_msl() {
    use naga::back::{hlsl, msl, spv};
    let mut written = [0_usize; 3];
    for_each_variant(|source, lanes, sums, module| {
        let what = |language: &str| format!("{}.wgsl, {lanes} lanes, {sums:?}, to {language}", source.name);
        let info = validate(source, module, sums);
        let (module, info) = naga::back::pipeline_constants::process_overrides(
            module,
            &info,
            None,
            &naga::back::PipelineConstants::default(),
        )
        .unwrap_or_else(|error| panic!("{}: {error}", what("constants")));
        let options = spv::Options { lang_version: (1, 3), ..spv::Options::default() };
        let words = spv::write_vec(&module, &info, &options, None)
            .unwrap_or_else(|error| panic!("{}: {error}", what("SPIR-V")));
        written[0] += words.len();

        // Subgroup operations came with shader model 6.0.
        let shader_model =
            if sums.uses_subgroups() { hlsl::ShaderModel::V6_0 } else { hlsl::ShaderModel::V5_1 };
        let options = hlsl::Options { shader_model, ..hlsl::Options::default() };
        let mut text = String::new();
        hlsl::Writer::new(&mut text, &options, &hlsl::PipelineOptions::default())
            .write(&module, &info, None)
            .unwrap_or_else(|error| panic!("{}: {error}", what("HLSL")));
        written[1] += text.len();

        let options =
            msl::Options { lang_version: (2, 4), fake_missing_bindings: true, ..msl::Options::default() };
        let (text, _) = msl::write_string(&module, &info, &options, &msl::PipelineOptions::default())
            .unwrap_or_else(|error| panic!("{}: {error}", what("MSL")));
        written[2] += text.len();
    });
    assert!(written.iter().all(|&length| length > 0), "{written:?}");
}

#[test]
fn every_kernel_keeps_to_webgpus_default_limits() {
    let limits = wgpu::Limits::default();
    assert_eq!(
        (limits.max_storage_buffers_per_shader_stage, limits.max_compute_workgroup_storage_size),
        (8, 16384)
    );
    let mut with_memory = 0;
    for_each_variant(|source, lanes, sums, module| {
        let info = validate(source, module, sums);
        let what = || format!("{}.wgsl, {lanes} lanes, {sums:?}", source.name);
        let [entry] = module.entry_points.as_slice() else { panic!("{}: not one entry point", what()) };
        assert_eq!(entry.name, "main", "{}", what());
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).expect("a valid module has a layout");
        let (mut storage, mut uniforms, mut workgroup) = (0, 0, 0);
        let mut bindings = Vec::new();
        for (_, global) in module.global_variables.iter() {
            match global.space {
                naga::AddressSpace::Storage { .. } => storage += 1,
                naga::AddressSpace::Uniform => uniforms += 1,
                // Each variable may begin on a boundary of 16 bytes.
                naga::AddressSpace::WorkGroup => workgroup += layouter[global.ty].size.next_multiple_of(16),
                _ => {}
            }
            bindings.extend(global.binding.map(|place| (place.group, place.binding)));
        }
        assert!(
            storage <= limits.max_storage_buffers_per_shader_stage,
            "{}: {storage} storage buffers",
            what()
        );
        assert!(uniforms <= limits.max_uniform_buffers_per_shader_stage, "{}", what());
        assert!(workgroup <= limits.max_compute_workgroup_storage_size, "{}: {workgroup} bytes", what());
        with_memory += u32::from(workgroup > 0);
        let [x, y, z] = entry.workgroup_size;
        assert!(x * y * z <= limits.max_compute_invocations_per_workgroup, "{}: {x}x{y}x{z}", what());
        // Kernel::bind numbers buffers from 0, and layouts made from the kernel leave out what it never touches.
        bindings.sort_unstable();
        let in_order: Vec<_> = (0..bindings.len() as u32).map(|binding| (0, binding)).collect();
        assert_eq!(bindings, in_order, "{}", what());
        for (handle, global) in module.global_variables.iter().filter(|(_, global)| global.binding.is_some())
        {
            let used = !info.get_entry_point(0)[handle].is_empty();
            assert!(used, "{}: `{}` is never used", what(), global.name.as_deref().unwrap_or("?"));
        }
    });
    assert!(with_memory > 0, "no kernel has workgroup memory: the check tests nothing");
}

fn module_of(source: &Source) -> naga::Module {
    parse(source, 32, LaneSums::Subgroup, Switches::default())
}

/// Name and offset of each member of a WGSL structure, and its size in bytes.
fn wgsl_struct(module: &naga::Module, name: &str) -> (Vec<(String, usize)>, usize) {
    let found = module.types.iter().find_map(|(_, ty)| match &ty.inner {
        naga::TypeInner::Struct { members, span } if ty.name.as_deref() == Some(name) => {
            Some((members, *span))
        }
        _ => None,
    });
    let (members, span) = found.unwrap_or_else(|| panic!("there is no struct {name}"));
    let place = |member: &naga::StructMember| {
        (member.name.clone().expect("members have names"), member.offset as usize)
    };
    (members.iter().map(place).collect(), span as usize)
}

fn wgsl_const(module: &naga::Module, name: &str) -> f64 {
    let (_, constant) = module
        .constants
        .iter()
        .find(|(_, constant)| constant.name.as_deref() == Some(name))
        .unwrap_or_else(|| panic!("there is no const {name}"));
    match module.global_expressions[constant.init] {
        naga::Expression::Literal(naga::Literal::U32(value)) => f64::from(value),
        naga::Expression::Literal(naga::Literal::F32(value)) => f64::from(value),
        ref other => panic!("const {name} is {other:?}"),
    }
}

/// Name and offset of each host field, and the structure's size. After `;`: WGSL members that lie inside a field.
macro_rules! host_struct {
    ($ty:ty: $($field:ident),* $(; $($name:ident = $of:ident + $bytes:literal),*)?) => {{
        let mut offsets: Vec<(String, usize)> = vec![$((stringify!($field).to_owned(), offset_of!($ty, $field))),*];
        $($(offsets.push((stringify!($name).to_owned(), offset_of!($ty, $of) + $bytes));)*)?
        offsets.sort_by_key(|(_, offset)| *offset);
        (offsets, size_of::<$ty>())
    }};
}

#[test]
fn host_structures_are_wgsls() {
    let project = module_of(&shaders::PROJECT);
    assert_eq!(
        wgsl_struct(&project, "ViewUniform"),
        host_struct!(ViewUniform:
            camera_centre, background, focal_px, principal_px, slope_min, slope_max, image_size, tile_grid,
            near_world, far_world, gaussian_count, sh_stride, sh_degree, isect_capacity, antialiased, shutter;
            cam_from_world_x = cam_from_world + 0, cam_from_world_y = cam_from_world + 16,
            cam_from_world_z = cam_from_world + 32)
    );
    assert_eq!(
        wgsl_struct(&project, "Gaussian"),
        host_struct!(Gaussian: quat; mean_logit = mean + 0, log_scale_floor = log_scale + 0)
    );
    // The last member of each of these vectors is a separate field on the host.
    assert_eq!(offset_of!(Gaussian, opacity_logit), offset_of!(Gaussian, mean) + 12);
    assert_eq!(offset_of!(Gaussian, scale_floor), offset_of!(Gaussian, log_scale) + 12);
    let gather = module_of(&shaders::GATHER);
    assert_eq!(wgsl_struct(&gather, "GatherSource"), host_struct!(GatherSource: gid, keeps_moments));
    let total = module_of(&shaders::LOSS_TOTAL);
    assert_eq!(
        wgsl_struct(&total, "TrainUniform"),
        host_struct!(TrainUniform:
            rate_mean, rate_opacity, rate_quat, rate_scale, rate_sh_constant, rate_sh_rest, beta1, beta2, epsilon,
            correction1, correction2_sqrt, opacity_regularizer, scale_regularizer, noise_scale, step, seed,
            image_pixels, ssim_weight, alpha_mode, average_weight, vignette;
            gain_red = gain + 0, gain_green = gain + 4, gain_blue = gain + 8)
    );
    assert_eq!(
        wgsl_struct(&total, "Counters"),
        host_struct!(Counters:
            gaussians, isects, isects_needed, overflowed, first_rank, end_rank, first_isect, place, sort_groups,
            isect_groups, scan_groups)
    );
    assert_eq!(wgsl_struct(&project, "Chunk"), host_struct!(layout::ChunkUniform: first, count));
    let slices = module_of(&shaders::ISECT_TOTAL);
    assert_eq!(wgsl_struct(&slices, "Slice").1 as u64, layout::COUNTERS_STRIDE);
    assert_eq!(
        wgsl_struct(&total, "StepReport"),
        host_struct!(StepReport: loss, isects_needed, overflowed, padding)
    );
    let limits = module_of(&shaders::PHOTO_LIMITS);
    assert_eq!(
        wgsl_struct(&limits, "PhotoView"),
        host_struct!(layout::PhotoView: lens, size_px, focal_px, nearest;
            cam_from_world_x = cam_from_world + 0, cam_from_world_y = cam_from_world + 16, cam_from_world_z = cam_from_world + 32)
    );
    assert_eq!(
        wgsl_struct(&limits, "PhotoLimitsUniform"),
        host_struct!(layout::PhotoLimitsUniform: count, is_first, is_last, near, veil_logit, floor_px2, margin)
    );
    let best_two = module_of(&shaders::BEST_TWO);
    assert_eq!(
        wgsl_struct(&best_two, "Group"),
        host_struct!(DescriptorGroup: first, count, other_first, other_count, result)
    );
    assert_eq!(wgsl_struct(&best_two, "BestTwo"), host_struct!(BestTwo: best, second, index));
}

#[test]
fn host_constants_are_wgsls() {
    let project = module_of(&shaders::PROJECT);
    let sort = module_of(&shaders::SORT_COUNT);
    let ssim = module_of(&shaders::SSIM_ROWS);
    let pairs = [
        (&project, "TILE_WIDTH", f64::from(layout::TILE_WIDTH)),
        (&project, "TILE_HEIGHT", f64::from(layout::TILE_HEIGHT)),
        (&sort, "SORT_BLOCK", f64::from(layout::SORT_BLOCK)),
        (&sort, "SCAN_BLOCK", f64::from(layout::SCAN_BLOCK)),
        (&sort, "SORT_DIGITS", f64::from(layout::SORT_DIGITS)),
        (&sort, "SLICE_NEAREST", f64::from(layout::SLICE_NEAREST)),
        (&sort, "SLICE_FARTHEST", f64::from(layout::SLICE_FARTHEST)),
        (&sort, "SPLATS_BY_RANK", f64::from(layout::SPLATS_BY_RANK)),
        (&ssim, "RUN", f64::from(layout::LOSS_RUN)),
    ];
    for (module, name, host) in pairs {
        assert_eq!(wgsl_const(module, name), host, "{name}");
    }
}

/// What a kernel stores for a Gaussian and an intersection is as large as the host takes it to be.
#[test]
fn sizes_that_follow_from_the_renderer_are_the_layouts() {
    for (renderer, rolling, bytes, floats) in [
        (RendererKind::Ewa, false, layout::SPLAT_BYTES_EWA, layout::SLOT_FLOATS_EWA),
        (RendererKind::Gut, false, layout::SPLAT_BYTES_GUT, layout::SLOT_FLOATS_GUT),
        (RendererKind::Gut, true, layout::SPLAT_BYTES_GUT, layout::SLOT_FLOATS_ROLLING),
    ] {
        let switches = Switches { renderer, rolling, ..Switches::default() };
        let kernel = parse(&shaders::RASTERIZE_BACKWARD, 32, LaneSums::Subgroup, switches);
        assert_eq!(wgsl_struct(&kernel, "Splat").1 as u64, bytes, "{renderer}");
        // `pack_slot` lists every word of a slot: a kernel does not parse where their number is another.
        assert_eq!(wgsl_const(&kernel, "SLOT_FLOATS"), floats as f64, "{renderer}");
        assert_eq!(wgsl_const(&kernel, "SLOT_DEPTH"), floats as f64 - 1.0, "{renderer}: the last word");
    }
}

/// The kernels and their f64 twins draw by the same numbers.
#[test]
fn reference_constants_are_wgsls() {
    use splat_core::reference;
    let project = module_of(&shaders::PROJECT);
    let close = |name: &str, twin: f64| {
        let kernel = wgsl_const(&project, name);
        assert!((kernel - twin).abs() <= 1e-7 * twin.abs(), "{name}: {kernel}, reference {twin}");
    };
    close("ALPHA_FLOOR", reference::ALPHA_MIN);
    close("LOG2_ALPHA_FLOOR", reference::ALPHA_MIN.log2());
    close("ALPHA_CAP", reference::ALPHA_MAX);
    close("LOG2_ALPHA_CAP", reference::ALPHA_MAX.log2());
    close("TRANSMITTANCE_STOP", reference::TRANSMITTANCE_MIN);
    close("BLUR_PX2", reference::EPS2D_PX2);
    close("COMPENSATION_FLOOR", reference::COMPENSATION_MIN);
    let switches = Switches { renderer: RendererKind::Gut, ..Switches::default() };
    let gut = parse(&shaders::PROJECT_GUT, 32, LaneSums::Subgroup, switches);
    assert!((wgsl_const(&gut, "SPREAD_SQUARED") - reference::SPREAD_SQUARED).abs() < 1e-9);
    let camera = splat_core::Camera {
        intrinsics: splat_core::Pinhole { width: 64, height: 48, fx: 60.0, fy: 60.0, cx: 32.0, cy: 24.0 },
        cam_from_world: splat_core::Pose::IDENTITY,
    };
    let view = ViewUniform::from_camera(&camera, [0.0; 3]);
    assert_eq!(view.near_world, reference::NEAR_WORLD as f32);
    assert_eq!(view.far_world, reference::FAR_WORLD as f32);
}

fn wgsl_names(folder: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(folder).expect("the shaders folder is there");
    files
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wgsl"))
        .map(|path| path.file_stem().expect("it has a name").to_string_lossy().into_owned())
        .collect()
}

#[test]
fn every_file_is_listed_used_and_says_what_it_is() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shaders"));
    let kernels = wgsl_names(folder);
    let listed: BTreeSet<String> = shaders::ALL.iter().map(|source| source.name.to_owned()).collect();
    assert_eq!(kernels, listed, "files in shaders/ and shaders::ALL");
    assert_eq!(listed.len(), shaders::ALL.len(), "a kernel is listed twice");

    let begins_well = |path: &Path, name: &str| {
        let text = fs::read_to_string(path).expect("the file can be read");
        let first = text.lines().next().unwrap_or_default();
        let rest = first.strip_prefix("// ").and_then(|line| line.strip_prefix(name));
        let said = rest.and_then(|rest| rest.split_once(": ")).map_or(0, |(_, purpose)| purpose.len());
        assert!(said > 10, "{}: its first line does not say what `{name}` does", path.display());
        text
    };
    for name in &kernels {
        let text = begins_well(&folder.join(format!("{name}.wgsl")), name);
        for word in ["// Threads", "// Reads", "// Writes"] {
            assert!(text.contains(word), "{name}.wgsl has no `{word}` in its header");
        }
    }
    let mut joined = String::new();
    for lanes in [8, 32] {
        for sums in LaneSums::ALL {
            for switches in all_switches() {
                joined.extend(shaders::ALL.iter().map(|source| source.text(lanes, sums, switches)));
            }
        }
    }
    let libraries = wgsl_names(&folder.join("lib"));
    assert!(libraries.len() > 5, "{libraries:?}");
    for name in &libraries {
        let path = folder.join("lib").join(format!("{name}.wgsl"));
        // Several files are forms of one, such as lanes_shared and lanes_subgroup.
        let text = begins_well(&path, name.split('_').next().unwrap_or(name));
        assert!(joined.contains(&text), "{name}.wgsl is part of no kernel");
    }
}
