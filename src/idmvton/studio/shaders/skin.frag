// Skin, eyes and lashes, with the neutral base layer painted on.
in vec3 position;
in vec3 normal;
in vec4 where0;
in vec4 where1;
in vec4 where2;
in vec4 paint;
layout(location = 0) out vec4 picture;
layout(location = 1) out vec4 truth;
uniform vec3 skin_colour;
uniform vec3 lip_colour;
uniform vec3 iris_colour;
uniform vec3 brow_colour;
uniform vec4 brow_shape; // height, thickness, arch, strength
uniform vec3 base_colour;
uniform vec4 scalp; // hair colour (display), strength
uniform float hairline[9];
uniform vec3 face_extra; // beard strength, blush, age lines
uniform sampler2D noise;

float head_distance(vec3 p) { return p.z - (0.800 + 0.30 * (p.y + 0.11)); }

float brow(vec3 p) {
    vec2 at = vec2(abs(p.x) - 0.034, p.z - (0.9135 + brow_shape.x));
    float arch = -brow_shape.z * at.x * at.x * 20.0 + at.x * 0.12;
    float thick = brow_shape.y * smoothstep(0.024, -0.012, at.x);
    float inside = 1.0 - smoothstep(thick * 0.55, thick, abs(at.y - arch));
    return inside * smoothstep(0.024, 0.018, abs(at.x)) * step(p.y, -0.09);
}

// How far inside the hairline a place on the head is, radians of elevation; azimuths are those of hair.py.
float inside_hairline(vec3 p) {
    const float AZIMUTH[9] = float[](0.0, 0.45, 0.80, 1.02, 1.22, 1.50, 1.75, 2.10, 3.15);
    vec3 from = p - vec3(0.0, -0.032, 0.925);
    float azimuth = abs(atan(from.x, -from.y));
    float line = hairline[8];
    for (int i = 7; i >= 0; i--) {
        if (azimuth < AZIMUTH[i + 1])
            line = mix(hairline[i], hairline[i + 1], clamp((azimuth - AZIMUTH[i]) / (AZIMUTH[i + 1] - AZIMUTH[i]), 0.0, 1.0));
    }
    return atan(from.z, length(from.xy)) - line;
}

int label_of(vec3 p) {
    if (head_distance(p) > 0.0) return 11;
    if (where0.w > 0.0) return p.x > 0.0 ? 14 : 15;
    if (p.z < 0.10) return where2.x > 1.93 ? (p.x > 0.0 ? 12 : 13) : (p.x > 0.0 ? 12 : 13);
    return 18;
}

void main() {
    vec3 p = where0.xyz;
    int kind = int(paint.w + 0.5);
    int label = label_of(p);
    vec3 n = normalize(normal);
    vec3 colour;
    float shine = 0.10, gloss = 22.0, wrap = 0.30, occlusion = 1.0;
    vec3 bleed = vec3(0.28, 0.07, 0.03);
    vec3 skin = linear_colour(skin_colour);
    float grain = texture(noise, p.xz * 3.0).r - 0.5;
    float fine = texture(noise, p.xz * 22.0 + p.y * 9.0).b - 0.5;
    if (kind == 1) {
        vec2 at = vec2(abs(p.x) - 0.0310, p.z - 0.8884);
        float r = length(at);
        vec3 iris = linear_colour(iris_colour) * (0.7 + 0.6 * smoothstep(0.001, 0.005, r));
        colour = mix(vec3(0.60, 0.57, 0.55), iris, smoothstep(0.0064, 0.0057, r));
        colour = mix(colour, vec3(0.01), smoothstep(0.0030, 0.0023, r));
        colour *= mix(0.5, 1.0, smoothstep(0.008, -0.002, at.y));
        shine = 0.55; gloss = 90.0; wrap = 0.4; bleed = vec3(0.0); label = 11;
    } else if (kind == 2) {
        colour = vec3(0.012, 0.010, 0.009);
        shine = 0.0; label = 11;
    } else {
        float cheek = exp(-dot((vec2(abs(p.x), p.z) - vec2(0.045, 0.868)) / vec2(0.022, 0.016),
                               (vec2(abs(p.x), p.z) - vec2(0.045, 0.868)) / vec2(0.022, 0.016)));
        float nose = exp(-dot(vec2(p.x, p.z - 0.868) / 0.016, vec2(p.x, p.z - 0.868) / 0.016)) * step(p.y, -0.12);
        colour = skin * (1.0 + 0.10 * grain + 0.05 * fine);
        float in_face = step(p.y, -0.05) * step(0.0, head_distance(p));
        colour *= mix(vec3(1.0), vec3(1.08, 0.86, 0.82), (cheek * face_extra.y + nose * 0.45) * in_face);
        colour = mix(colour, linear_colour(lip_colour), paint.x * 0.85);
        colour = mix(colour, colour * vec3(0.72, 0.62, 0.60), paint.y * 0.45);
        colour = mix(colour, linear_colour(brow_colour), brow(p) * brow_shape.w * (0.85 + 0.3 * fine) * in_face);
        float beard = smoothstep(0.868, 0.835, p.z - 0.10 * abs(p.x)) * smoothstep(-0.03, -0.07, p.y);
        beard *= smoothstep(-0.022, 0.004, head_distance(p));
        beard = max(beard, smoothstep(0.010, 0.004, abs(p.z - 0.8475)) * smoothstep(0.03, 0.02, abs(p.x)) * in_face);
        beard *= (1.0 - paint.x) * face_extra.x;
        colour = mix(colour, linear_colour(brow_colour), beard * (0.75 + 1.2 * fine));
        if (scalp.w > 0.0 && p.z > 0.80) {
            float root = smoothstep(-0.07, 0.06, inside_hairline(p) + (fine + grain) * 0.16) * (1.0 - paint.x);
            colour = mix(colour, linear_colour(scalp.rgb) * 0.8, root * scalp.w);
        }
        colour = mix(colour, mix(colour, vec3(0.75, 0.48, 0.44), 0.4), paint.z);
        shine = mix(shine, 0.28, paint.x);
        float below = head_distance(p);
        occlusion = 1.0 - 0.35 * smoothstep(0.005, -0.030, below) * smoothstep(-0.110, -0.045, below)
                    * smoothstep(0.01, -0.03, p.y);
        n = bumped(n, (grain * 0.0006 + fine * 0.00022) * (1.0 + face_extra.z));
        float lower = min(0.215 - 0.10 * abs(p.x) - p.z, (p.z - 0.012) - abs(p.x) * 0.55 + 0.02);
        float upper = min(0.545 - p.z, p.z - 0.43);
        float base = step(where0.w, -0.03) * smoothstep(-0.001, 0.001, max(lower, upper));
        if (base > 0.5) {
            colour = linear_colour(base_colour) * (0.95 + 0.1 * fine);
            shine = 0.02; bleed = vec3(0.0);
        }
    }
#if OUTPUT == 0
    picture = vec4(display_colour(shade(colour, n, lit(0.0035), occlusion, wrap, shine, gloss, 0.05, bleed)), 1.0);
#elif OUTPUT == 1
    picture = vec4(pow(colour, vec3(1.0 / 2.2)), 1.0);
#else
    picture = vec4(0.0);
#endif
    truth = vec4(float(label) / 255.0, 0.0, 0.0, 1.0);
}
