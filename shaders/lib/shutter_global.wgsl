// shutter (global form): every pixel sees at once. The kernel stands on lib/camera_*.wgsl.

// Where a point of the reference camera's space is seen.
struct Sight {
    // Pixel, and in z 1 where the lens sees it.
    image: vec3f,
    // The point in the space of the camera that sees it.
    point: vec3f,
}

fn sight_of(p: vec3f) -> Sight {
    return Sight(camera_project(p), p);
}
