// Where a garment has cloth: a smooth signed distance (about metres), positive inside. KIND is the garment's kind,
// known when the program is made: 1 top, 2 bottom, 3 shoe, 4 tube. `cuts.py` says the same in numpy.
struct Garment {
    vec4 extent;  // hem height, waist height, leg end (leg_along), sleeve end (arm_along)
    vec4 neck;    // type, half width, front depth, back depth
    vec4 shape;   // kind, armhole offset, front opening at the top, front opening at the hem
};
const int KIND_NONE = 0, KIND_TOP = 1, KIND_BOTTOM = 2, KIND_SHOE = 3, KIND_TUBE = 4;

// Height of the shoulder line where a neckline of this half width meets it.
float shoulder_height(float width) { return 0.6846 + 0.0054 / max(width, 0.05); }

float neck_distance(vec4 neck, vec3 place, float front) {
    int type = int(neck.x + 0.5);
    float width = neck.y;
    float depth = mix(neck.w, neck.z, smoothstep(-0.03, 0.03, front));
    float side = abs(place.x);
    float below = max(shoulder_height(width) - place.z, 0.0);
    if (type == 1) { // V; the back is round
        if (front >= 0.0) return (side - width * (1.0 - below / neck.z)) * neck.z / length(vec2(width, neck.z));
        depth = neck.w;
    }
    if (type == 2 && front >= 0.0) return max(side - width, below - depth); // square
    if (type == 3) return 0.790 + 0.35 * (place.y + 0.02) - place.z;        // turtle: up the neck
    if (type == 4) return 0.635 - 0.05 * exp(-side * side * 90.0) - place.z; // off-shoulder
    vec2 scaled = vec2(side / width, below / depth);
    return (length(scaled) - 1.0) * min(width, depth);
}

float garment_distance(Garment g, vec4 w0, vec4 w1, vec4 w2) {
    const int kind = KIND;
    vec3 place = w0.xyz;
    float seam = w0.w;
    if (kind == KIND_TOP) {
        float hem = g.extent.x + 0.012 * cos(w1.z * 9.0) * clamp(w1.w * 20.0, -1.0, 1.0);
        float inside = seam > 0.0 ? 1.0 : place.z - hem;
        inside = min(inside, neck_distance(g.neck, place, w1.w));
        if (g.extent.w >= 0.0) {
            if (seam > 0.0) inside = min(inside, (g.extent.w - w1.x) * 0.26);
        } else {
            inside = min(inside, g.shape.y - seam);
        }
        float opening = mix(g.shape.w, g.shape.z, smoothstep(0.1, 0.66, place.z));
        if (opening > 0.0 && w1.w > 0.0) inside = min(inside, abs(place.x) - opening);
        return inside;
    }
    if (kind == KIND_BOTTOM) {
        float inside = min(g.extent.y - place.z, (g.extent.z - w2.x) * 0.43);
        return min(inside, -seam - 0.005);
    }
    if (kind == KIND_SHOE) {
        float instep = smoothstep(0.01, -0.04, place.y) * (1.0 - smoothstep(-0.085, -0.130, place.y));
        float top = g.extent.z + g.extent.x * instep;
        return (w2.x - top) * 0.43;
    }
    if (kind == KIND_TUBE) return 1.0;
    return -1.0;
}
