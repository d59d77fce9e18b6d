// shutter (global form): all pixels are exposed at the same time. Uses lib/camera_*.wgsl.

// Where a point of the reference camera's space appears in the image.
struct Sight {
    // Pixel; z is 1 if the lens maps the point, else 0.
    image: vec3f,
    // The point in the space of the camera that sees it.
    point: vec3f,
}

fn sight_of(p: vec3f) -> Sight {
    return Sight(camera_project(p), p);
}
