"""DeeR-VLA's forward pass, written from its description on the published keys; it uses nothing of `deer_lab`.

`wrong` names one detail that is done otherwise, so that a test can show that the comparison would notice.
"""

import math
import re

import torch
import torch.nn.functional as F

EPSILON = 1e-5


def numbers(keys, pattern):
    """The numbers at the group of `pattern`, in order, each once."""
    return sorted({int(found[1]) for key in keys if (found := re.match(pattern, key))})


class Reference:
    def __init__(self, deer, clip, heads, bias_max=8, even_slopes=True, interval=2, wrong=""):
        """`deer` and `clip`: tensors by published name, DDP's `module.` taken off. `even_slopes`: MPT-1B's ALiBi."""
        self.w, self.clip, self.heads, self.bias_max, self.wrong = deer, clip, heads, bias_max, wrong
        self.even_slopes = even_slopes
        self.layers = 1 + max(numbers(deer, r"lang_encoder.old_decoder_blocks.(\d+)"))
        self.exits = [*range(interval - 1, self.layers - 1, interval), self.layers - 1]

    def norm(self, x, key, weights=None):
        weights = self.w if weights is None else weights
        gain = weights[f"{key}.weight"]
        bias = weights.get(f"{key}.bias")
        if self.wrong == "norm bias" and bias is not None:
            bias = None
        centred = x - x.mean(-1, keepdim=True)
        epsilon = 1e-6 if self.wrong == "epsilon" else EPSILON
        y = centred / (centred.square().mean(-1, keepdim=True) + epsilon).sqrt() * gain
        return y if bias is None else y + bias

    def linear(self, x, key):
        y = x @ self.w[f"{key}.weight"].T
        return y + self.w[f"{key}.bias"] if f"{key}.bias" in self.w else y

    def gelu(self, x):
        if self.wrong == "gelu":
            return F.gelu(x, approximate="tanh")
        return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))

    def attend(self, q, k, v, heads, bias=None):
        """One sample: (T, heads * d), 2 x (S, heads * d) -> (T, heads * d)."""
        found = []
        for head in range(heads):
            wide = q.shape[1] // heads
            part = slice(head * wide, (head + 1) * wide)
            scores = q[:, part] @ k[:, part].T / math.sqrt(wide)
            scores = scores if bias is None else scores + bias[head]
            found.append(scores.softmax(-1) @ v[:, part])
        return torch.cat(found, dim=1)

    def see(self, image):
        """CLIP's patch tokens before its last norm: (3, S, S) -> (tokens, D)."""
        w = {key.removeprefix("visual."): value for key, value in self.clip.items()}
        patches = F.conv2d(image[None], w["conv1.weight"], stride=w["conv1.weight"].shape[-1])[0].flatten(1).T
        x = torch.cat([w["class_embedding"][None], patches]) + w["positional_embedding"]
        x = self.norm(x, "ln_pre", w)
        for layer in numbers(w, r"transformer.resblocks.(\d+)"):
            at = f"transformer.resblocks.{layer}"
            joined = self.norm(x, f"{at}.ln_1", w) @ w[f"{at}.attn.in_proj_weight"].T + w[f"{at}.attn.in_proj_bias"]
            seen = self.attend(*joined.chunk(3, dim=1), x.shape[1] // 64)
            x = x + seen @ w[f"{at}.attn.out_proj.weight"].T + w[f"{at}.attn.out_proj.bias"]
            up = self.norm(x, f"{at}.ln_2", w) @ w[f"{at}.mlp.c_fc.weight"].T + w[f"{at}.mlp.c_fc.bias"]
            up = self.gelu(up) if self.wrong == "quick gelu" else up * torch.sigmoid(1.702 * up)
            x = x + up @ w[f"{at}.mlp.c_proj.weight"].T + w[f"{at}.mlp.c_proj.bias"]
        return self.norm(x[1:], "ln_post", w) if self.wrong == "clip's last norm" else x[1:]

    def feed_forward(self, x, at):
        return self.linear(self.gelu(self.linear(self.norm(x, f"{at}.0"), f"{at}.1")), f"{at}.3")

    def resample(self, seen):
        x = self.w["perceiver.latents"]
        for layer in numbers(self.w, r"perceiver.layers.(\d+)"):
            at = f"perceiver.layers.{layer}"
            media, latents = self.norm(seen, f"{at}.0.norm_media"), self.norm(x, f"{at}.0.norm_latents")
            both = media if self.wrong == "latents see themselves" else torch.cat([media, latents])
            k, v = self.linear(both, f"{at}.0.to_kv").chunk(2, dim=1)
            x = x + self.linear(self.attend(self.linear(latents, f"{at}.0.to_q"), k, v, 8), f"{at}.0.to_out")
            x = x + self.feed_forward(x, f"{at}.1")
        return self.norm(x, "perceiver.norm")

    def media(self, static, gripper):
        pair = (gripper, static) if self.wrong == "camera order" else (static, gripper)
        return torch.cat([self.resample(self.see(image)) for image in pair])

    def embed(self, ids):
        return self.w["lang_encoder.transformer.wte.weight"][ids]

    def slopes(self):
        even = self.even_slopes != (self.wrong == "slopes")
        power = self.heads if even else 2 ** math.ceil(math.log2(self.heads))
        found = [2 ** (-self.bias_max * i / power) for i in range(1, power + 1)]
        return (found if power == self.heads else found[1::2] + found[::2])[: self.heads]

    def cross(self, x, media, at):
        gate = (lambda g: g) if self.wrong == "gate" else torch.tanh
        k, v = self.linear(media, f"{at}.attn.to_kv").chunk(2, dim=1)
        seen = self.attend(self.linear(self.norm(x, f"{at}.attn.norm"), f"{at}.attn.to_q"), k, v, 8)
        x = x + gate(self.w[f"{at}.attn_gate"]) * self.linear(seen, f"{at}.attn.to_out")
        return x + gate(self.w[f"{at}.ff_gate"]) * self.feed_forward(x, f"{at}.ff")

    def layer(self, x, media, index):
        at = f"lang_encoder.old_decoder_blocks.{index}"
        crossing = f"lang_encoder.gated_cross_attn_layers.{index}"
        sees = f"{crossing}.attn_gate" in self.w
        if sees and self.wrong != "cross-attention after the layer":
            x = self.cross(x, media, crossing)
        first, second, up, down = (
            ("ln_1", "ln_2", "mlp.mlp_up", "mlp.mlp_down")
            if f"{at}.ln_1.weight" in self.w
            else ("norm_1", "norm_2", "ffn.up_proj", "ffn.down_proj")
        )
        q, k, v = self.linear(self.norm(x, f"{at}.{first}"), f"{at}.attn.Wqkv").chunk(3, dim=1)
        if f"{at}.attn.q_ln.weight" in self.w and self.wrong != "q/k norms":
            q, k = self.norm(q, f"{at}.attn.q_ln"), self.norm(k, f"{at}.attn.k_ln")
        tokens = len(x)
        later = torch.ones(tokens, tokens, dtype=torch.bool).triu(1)
        keys = torch.arange(1 - tokens, 1.0)  # the published bias depends on the key alone
        bias = torch.stack([(slope * keys).expand(tokens, -1).masked_fill(later, -math.inf) for slope in self.slopes()])
        x = x + self.linear(self.attend(q, k, v, self.heads, bias), f"{at}.attn.out_proj")
        x = x + self.linear(self.gelu(self.linear(self.norm(x, f"{at}.{second}"), f"{at}.{up}")), f"{at}.{down}")
        if sees and self.wrong == "cross-attention after the layer":
            x = self.cross(x, media, crossing)
        return x

    def pool(self, x):
        return x.mean(0) if self.wrong == "pooling" else x.max(0).values

    def head(self, feature, state, at="extra_exit"):
        """-> arm (6), gripper (1), the next state; `state`: a pair of (H) a layer."""
        x, after = feature, []
        names = ("weight_ih_l", "weight_hh_l", "bias_ih_l", "bias_hh_l")
        normed = f"{at}.rnn.layers.0.weight_ih_l0" in self.w
        for layer, (h, c) in enumerate(state):
            where = f"layers.{3 * layer}.{{}}0" if normed else f"{{}}{layer}"
            w = [self.w[f"{at}.rnn.{where.format(name)}"] for name in names]
            h, c = (y[0] for y in torch.lstm_cell(x[None], (h[None], c[None]), *w))
            after.append((h, c))
            x = self.norm(h, f"{at}.rnn.layers.{3 * layer + 1}") if normed else h
        arm, gripper = (self.mlp(x, f"{at}.{kind}.mlp") for kind in ("actions", "gripper"))
        arm = arm if self.wrong == "tanh" else torch.tanh(arm)
        return arm, gripper if self.wrong == "sigmoid" else torch.sigmoid(gripper), after

    def mlp(self, x, at):
        places = numbers(self.w, rf"{at}.(\d+).weight")
        linears = [place for place in places if self.w[f"{at}.{place}.weight"].dim() == 2]
        for place in linears[:-1]:
            x = self.linear(x, f"{at}.{place}")
            if place + 1 in places:
                x = self.norm(x, f"{at}.{place + 1}")
            x = x.relu()
        return self.linear(x, f"{at}.{linears[-1]}")

    def clear(self):
        width = next(value for key, value in self.w.items() if "extra_exit.rnn." in key and "weight_hh" in key).shape[1]
        return [(torch.zeros(width), torch.zeros(width)) for _ in range(4)]

    def step(self, prompt, images, state, thresholds):
        """-> exit, deltas, arm, gripper, next state; the exit that is taken runs once more, to commit."""
        x, media, before, deltas = prompt, self.media(*images), None, []
        for index in range(self.layers):
            x = self.layer(x, media, index)
            if index == self.exits[0] - 1:
                before = self.head(self.pool(x), state)[0]
            if index in self.exits:
                arm = self.head(self.pool(x), state)[0]
                deltas.append(float((arm - before).square().mean().sqrt()))
                before = arm
                number = len(deltas) - 1
                if number == len(self.exits) - 1 or deltas[-1] <= thresholds[number]:
                    return number, deltas, *self.head(self.pool(x), state)
        raise AssertionError("the last exit always stops")
