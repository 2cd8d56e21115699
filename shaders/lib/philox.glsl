// Philox4x32-10 (Salmon et al. 2011), and dropout by it. A round multiplies two words of the counter, crosses
// the halves of the products, and mixes in the key, which a Weyl sequence moves on.
uvec4 philox(uvec4 c, uvec2 key)
{
    [[unroll]] for (uint round = 0; round < 10; round++) {
        uint high0, low0, high1, low1;
        umulExtended(c.x, 0xD2511F53u, high0, low0);
        umulExtended(c.z, 0xCD9E8D57u, high1, low1);
        c = uvec4(high1 ^ c.y ^ key.x, low1, high0 ^ c.w ^ key.y, low0);
        key += uvec2(0x9E3779B9u, 0xBB67AE85u);
    }
    return c;
}

// What a step draws by, in device memory, so that one recording serves all steps: seed, step, token of row 0.
layout(buffer_reference, scalar, buffer_reference_align = 16) readonly buffer Draw { uvec4 v; };
uvec4 draw; // set by main, where there is dropout

// Whether dropout keeps a feature of a token. Elements count over the whole step, token * width + feature, in
// up to 34 bits; element e has word e % 4 of block e / 4.
bool dropout_keeps(uint row, uint width, uint feature, uint tensor, uint threshold)
{
    uint high, low, carry;
    umulExtended(draw.w + row, width, high, low);
    low = uaddCarry(low, feature, carry);
    uint block = low >> 2 | (high + carry) << 30;
    return philox(uvec4(block, tensor, draw.z, 0x64726F70u), draw.xy)[low & 3u] >= threshold;
}
