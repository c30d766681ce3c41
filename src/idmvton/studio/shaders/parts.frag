// The 24 DensePose parts of the bare body with a U and V inside each part.
in vec3 position;
in vec3 normal;
in vec4 where0;
in vec4 where1;
in vec4 where2;
in vec4 paint;
layout(location = 0) out vec4 picture;
layout(location = 1) out vec4 truth;

void main() {
    vec3 p = where0.xyz;
    bool left = p.x > 0.0;
    int part;
    vec2 uv;
    if (p.z > 0.800 + 0.30 * (p.y + 0.11)) {
        part = left ? 24 : 23;
        uv = vec2(0.5 + (p.y + 0.04) / 0.26, (p.z - 0.77) / 0.26);
    } else if (where0.w > 0.0) {
        float along = where1.x;
        uv = vec2(0.5 + where1.y * (left ? 1.0 : -1.0) / 0.17, fract(clamp(along, 0.0, 1.999)));
        if (along > 2.0) { part = left ? 4 : 3; uv.y = clamp((along - 2.0) * 1.3, 0.0, 1.0); }
        else if (along > 1.0) part = where2.w > 0.0 ? (left ? 19 : 20) : (left ? 21 : 22);
        else part = where2.w > 0.0 ? (left ? 15 : 16) : (left ? 17 : 18);
    } else if (p.z < 0.02 + 0.55 * abs(p.x) && p.z < 0.16) {
        float along = where2.x;
        uv = vec2(0.5 + where2.y / 0.29, fract(clamp(along, 0.0, 1.999)));
        if (along > 1.97) { part = left ? 5 : 6; uv = vec2(0.5 + where2.y / 0.29, clamp((p.y + 0.2) / 0.3, 0.0, 1.0)); }
        else if (along > 1.0) part = where2.z > 0.0 ? (left ? 14 : 13) : (left ? 12 : 11);
        else part = where2.z > 0.0 ? (left ? 10 : 9) : (left ? 8 : 7);
    } else {
        part = where1.w > 0.0 ? 2 : 1;
        uv = vec2(0.5 + where1.z / 0.46, (p.z - 0.0) / 0.8);
    }
    picture = vec4(float(part) / 255.0, clamp(uv, 0.0, 1.0), 1.0);
    truth = vec4(0.0);
}
