// Hair: strands run along paint.y; where0.x is the azimuth, where0.y the elevation, where1.x the distance inside the hairline.
in vec3 position;
in vec3 normal;
in vec4 where0;
in vec4 where1;
in vec4 where2;
in vec4 paint;
layout(location = 0) out vec4 picture;
layout(location = 1) out vec4 truth;
uniform vec3 hair_colour;
uniform vec3 tip_colour;
uniform vec4 hair_shape; // strand count, curl, shine, edge raggedness
uniform sampler2D noise;

void main() {
    vec2 strand = vec2(where0.x * hair_shape.x, paint.y * 0.9 + hair_shape.y * sin(where0.x * 9.0 + paint.y * 30.0) * 0.03);
    float fine = texture(noise, strand * vec2(1.0, 0.11)).b;
    float lock = texture(noise, strand * vec2(0.17, 0.06) + 0.37).g;
    float ragged = (texture(noise, vec2(where0.x * hair_shape.x * 0.9, 0.3)).b - 0.5) * hair_shape.w;
    if (where1.x + ragged < 0.0) discard;
    vec3 base = mix(linear_colour(hair_colour), linear_colour(tip_colour), smoothstep(0.4, 1.0, paint.y));
    vec3 colour = base * (0.55 + 0.75 * fine) * (0.7 + 0.6 * lock);
    vec3 n = normalize(normal);
    if (!gl_FrontFacing) { n = -n; colour *= 0.35; }
    n = bumped(n, (fine - 0.5) * 0.0016 + (lock - 0.5) * 0.010);
    vec3 toward = normalize(eye - position);
    vec3 along = normalize(cross(n, cross(vec3(0.0, 0.0, 1.0), n)) + 1e-4);
    vec3 tilted = normalize(along + n * (0.25 * (fine - 0.5)));
    vec3 half_way = normalize(key_direction + toward);
    float across = dot(tilted, half_way);
    float band = pow(max(0.0, 1.0 - across * across), 60.0) * hair_shape.z;
    float rooted = smoothstep(0.0, 0.02, where1.x);
    float shadow = lit(0.0045);
    vec3 result = shade(colour, n, shadow, 0.55 + 0.45 * rooted, 0.35, 0.02, 20.0, 0.03, vec3(0.05));
    result += key_colour * band * (0.35 * base + 0.06) * shadow * max(dot(n, key_direction) + 0.2, 0.0);
#if OUTPUT == 0
    picture = vec4(display_colour(result), 1.0);
#elif OUTPUT == 1
    picture = vec4(pow(colour, vec3(1.0 / 2.2)), 1.0);
#else
    picture = vec4(0.0);
#endif
    truth = vec4(2.0 / 255.0, 0.0, 0.0, 1.0);
}
