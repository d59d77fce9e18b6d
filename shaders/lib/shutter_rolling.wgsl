// shutter (rolling form): a point is seen by the line of pixels that is read while the camera sees it there.
//
// Equation  Wu et al. 2025, section 3.4: a fixed point between pixel and time, from the first line read on; here times are
//           those of lines, whose poses the host works out (lib/rays_rolling.wgsl says how they lie)
// Twin      shutter::RollingShutter::project

@group(0) @binding(9) var<storage, read> rays: array<vec4f>;

const SHUTTER_ROUNDS: u32 = 10u;

// Where a point of the reference camera's space (in the middle of the exposure) is seen.
struct Sight {
    // Pixel, and in z 1 where the lens sees it.
    image: vec3f,
    // The point in the space of the camera that sees it.
    point: vec3f,
}

fn sight_from_line(p: vec3f, line: u32) -> Sight {
    let at = view.image_size.x * view.image_size.y + 2u * line;
    let turn = rays[at];
    let off = p - rays[at + 1u].xyz;
    // Back: the conjugate's rotation.
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
