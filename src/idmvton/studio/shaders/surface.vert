// Shared by every mesh. `packed` coordinates are those of anatomy.Coordinates.pack.
in vec3 in_position;
in vec3 in_normal;
in vec4 in_where0; // place.xyz, arm_seam
in vec4 in_where1; // arm_along, arm_around, torso_around, torso_front
in vec4 in_where2; // leg_along, leg_around, leg_front, arm_front
in vec4 in_paint;  // skin: lips, eyelids, nails, kind; others: free
#ifdef FLOW
in vec3 in_flow;   // place in the product picture's clip space
out vec3 flow;
#endif
uniform mat4 view_projection;
out vec3 position;
out vec3 normal;
out vec4 where0;
out vec4 where1;
out vec4 where2;
out vec4 paint;

void main() {
#ifdef FLOW
    flow = in_flow;
#endif
    position = in_position;
    normal = in_normal;
    where0 = in_where0;
    where1 = in_where1;
    where2 = in_where2;
    paint = in_paint;
    gl_Position = view_projection * vec4(in_position, 1.0);
}
