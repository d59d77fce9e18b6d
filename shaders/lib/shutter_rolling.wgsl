// shutter (rolling form): a point appears on the line that is read out at the time the camera projects the point to that line.
//
// Equation  Wu et al. 2025, section 3.4: a fixed point between pixel and time, starting at the first line read; times are those
//           of lines, whose poses the host computes (layout: lib/rays_rolling.wgsl)
// Twin      shutter::RollingShutter::project

@group(0) @binding(10) var<storage, read> rays: array<vec4f>;

const SHUTTER_ROUNDS: u32 = 10u;

// Where a point of the reference camera's space (in the middle of the exposure) appears in the image.
struct Sight {
    // Pixel; z is 1 if the lens maps the point, else 0.
    image: vec3f,
    // The point in the space of the camera that sees it.
    point: vec3f,
}

fn sight_from_line(p: vec3f, line: u32) -> Sight {
    let at = view.image_size.x * view.image_size.y + 2u * line;
    let turn = rays[at];
    let off = p - rays[at + 1u].xyz;
    // The inverse rotation, by the conjugate.
    let point = off + 2.0 * cross(turn.xyz, cross(turn.xyz, off) - turn.w * off);
    return Sight(camera_project(point), point);
}

fn sight_of(p: vec3f) -> Sight {
    let columns = (view.shutter & 1u) != 0u;
    let last = select(view.image_size.y, view.image_size.x, columns) - 1u;
    var line = select(0u, last, (view.shutter & 2u) != 0u);
    var sight = sight_from_line(p, line);
    if (!(sight.image.z > 0.0)) {
        line = last - line;
        sight = sight_from_line(p, line);
    }
    for (var round = 0u; round < SHUTTER_ROUNDS && sight.image.z > 0.0; round += 1u) {
        let along = select(sight.image.y, sight.image.x, columns);
        let next = u32(clamp(floor(along), 0.0, f32(last)));
        if (next == line) {
            break;
        }
        line = next;
        sight = sight_from_line(p, line);
    }
    return sight;
}
