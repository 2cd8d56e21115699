// What the forms of kl share; shaders/kl.comp has the formulas. Before this file stands lib/op.glsl.

// Terms of both divergences for shares a of P and b of Q, u = log b - log a: a h(u) and b h(-u). None is
// below zero. Below 1/2 the series of h(u) = exp(u) - 1 - u, to 5e-8 of it.
vec2 apart(float a, float b, float u)
{
    float v = u * u, more = b - a;
    float even = fma(v, fma(v, fma(v, 1.0 / 40320.0, 1.0 / 720.0), 1.0 / 24.0), 0.5);
    float odd = u * fma(v, fma(v, 1.0 / 5040.0, 1.0 / 120.0), 1.0 / 6.0);
    vec2 near = v * vec2(a * (even + odd), b * (even - odd));
    return abs(u) < 0.5 ? near : vec2(fma(-a, u, more), fma(b, u, -more));
}

// {M, log S, N, log R} of a row, by xent's states of both models.
vec4 centre_of(uint row)
{
    F32 p = F32(arg.p[2]), q = F32(arg.p[3]);
    return vec4(p.v[row * 8], log(p.v[row * 8 + 1]), q.v[row * 8], log(q.v[row * 8 + 1]));
}

vec2 column(vec4 centre, float x, float y)
{
    float dx = x - centre[0], dy = y - centre[2];
    return apart(exp(dx - centre[1]), exp(dy - centre[3]), (dy - dx) - (centre[3] - centre[1]));
}

void fold(uint row, vec4 centre, vec2 sum)
{
    F32 state = F32(arg.p[4]);
    uint s = row * 8;
    if (arg.d[3] == 0) {
        float dp = (state.v[s] - centre[0]) + (state.v[s + 1] - centre[1]), p = exp(dp);
        float dq = (state.v[s + 2] - centre[2]) + (state.v[s + 3] - centre[3]), q = exp(dq);
        sum += fma(vec2(p, q), vec2(state.v[s + 4], state.v[s + 5]), apart(p, q, dq - dp));
    }
    [[unroll]] for (uint i = 0; i < 4; i++)
        state.v[s + i] = centre[i];
    state.v[s + 4] = sum.x;
    state.v[s + 5] = sum.y;
    state.v[s + 6] = state.v[s + 7] = 0.0;
}
