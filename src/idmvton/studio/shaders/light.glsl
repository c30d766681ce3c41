// Light: one key light with a soft shadow, a fill and a rim light, and a sky that differs from the ground.
uniform vec3 eye;
uniform vec3 key_direction;
uniform vec3 key_colour;
uniform vec3 fill_direction;
uniform vec3 fill_colour;
uniform vec3 rim_direction;
uniform vec3 rim_colour;
uniform vec3 sky_colour;
uniform vec3 ground_colour;
uniform float shadow_softness; // in 512ths of the shadow map
uniform sampler2DShadow shadow_map;
uniform mat4 light_projection; // without perspective

// A shadow's edge is dithered over four taps that turn from pixel to pixel.
float lit(float bias) {
    vec3 at = (light_projection * vec4(position, 1.0)).xyz * 0.5 + 0.5;
    if (any(lessThan(at, vec3(0.0))) || any(greaterThan(at, vec3(1.0)))) return 1.0;
    float random = fract(52.9829189 * fract(dot(gl_FragCoord.xy, vec2(0.06711056, 0.00583715))));
    vec2 turn = normalize(vec2(random, fract(random * 7.31)) - 0.5) * (shadow_softness / 512.0);
    vec2 far = turn * 0.9, near = vec2(-turn.y, turn.x) * 0.5;
    at.z -= bias;
    return 0.25 * (texture(shadow_map, vec3(at.xy + far, at.z)) + texture(shadow_map, vec3(at.xy - far, at.z))
                 + texture(shadow_map, vec3(at.xy + near, at.z)) + texture(shadow_map, vec3(at.xy - near, at.z)));
}

vec3 linear_colour(vec3 c) { return c * c * (c * 0.305306 + 0.682171) + c * 0.012523; }

vec3 display_colour(vec3 c) {
    c = max(c, vec3(0.0));
    c = c * (1.0 + c * 0.12) / (1.0 + c * 0.30); // a gentle shoulder
    vec3 root = sqrt(c), fourth = sqrt(root); // close to the sRGB curve
    return 0.585122 * root + 0.783140 * fourth - 0.368263 * sqrt(fourth);
}

// Close to pow(x, gloss).
float peak(float x, float gloss) { return x / (gloss - gloss * x + x); }

// `wrap` softens the terminator, `gloss` and `shine` shape the highlight, `sheen` brightens grazing angles.
vec3 shade(
    vec3 colour, vec3 n, float shadow, float occlusion, float wrap, float shine, float gloss, float sheen, vec3 bleed
) {
    vec3 toward = normalize(eye - position);
    float key = (dot(n, key_direction) + wrap) / (1.0 + wrap);
    float soft = clamp(key, 0.0, 1.0) * shadow;
    vec3 direct = key_colour * mix(vec3(soft), vec3(sqrt(soft)), bleed);
    vec3 fill = fill_colour * max((dot(n, fill_direction) + 0.35) / 1.35, 0.0);
    float facing = max(dot(n, toward), 0.0);
    float away = (1.0 - facing) * (1.0 - facing);
    vec3 rim = rim_colour * max(dot(n, rim_direction), 0.0) * away;
    vec3 sky = mix(ground_colour, sky_colour, n.z * 0.5 + 0.5) * occlusion;
    vec3 result = colour * (direct * mix(1.0, occlusion, 0.5) + fill * occlusion + sky + rim);
    vec3 half_way = normalize(key_direction + toward);
    float high = peak(max(dot(n, half_way), 0.0), gloss) * shine * shadow;
    high += peak(max(dot(n, normalize(fill_direction + toward)), 0.0), gloss) * shine * 0.4;
    result += key_colour * high + sky_colour * sheen * away * away * occlusion;
    return result;
}

vec3 bumped(vec3 n, float height) {
    vec3 sx = dFdx(position), sy = dFdy(position);
    vec3 rx = cross(sy, n), ry = cross(n, sx);
    float area = dot(sx, rx);
    vec3 slope = sign(area) * (dFdx(height) * rx + dFdy(height) * ry);
    return normalize(abs(area) * n - slope);
}
