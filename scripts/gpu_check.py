"""The stages that gpu-check measures, in Python's torch: gpu_check.py --device DEVICE SHAPE...   (SHAPE is JSON, see shapes.rs)

Prints a check as a JSON line for each: plain modules, the same mathematics, the same element type, with strictly deterministic
algorithms and without, so that the price of determinism shows. On a card also the three kernels that take most of the time.
"""

import json
import sys
import time


def check(name, status="passed", reason=None, **figures):
    print(json.dumps({"group": "python", "name": name, "status": status, "reason": reason, "figures": figures}), flush=True)


try:
    import torch
    import torch.nn.functional as F
except Exception as error:  # a torch that is there and does not load raises more than ImportError
    check("the same stages in Python", "skipped", f"Python's torch cannot be loaded ({error}): pip install torch==2.11.0")
    sys.exit(0)


def rounded(x):
    return float(f"{x:.4g}")


class Block(torch.nn.Module):
    """RMSNorm, rotary positions, grouped queries, SwiGLU; no biases."""

    def __init__(self, s):
        super().__init__()
        self.s, d, head = s, s["d_model"], s["d_model"] // s["heads"]
        linear = lambda i, o: torch.nn.Linear(i, o, bias=False)  # noqa: E731
        self.q, self.k, self.v, self.o = linear(d, d), linear(d, head * s["kv_heads"]), linear(d, head * s["kv_heads"]), linear(d, d)
        self.gate, self.up, self.down = linear(d, s["d_ff"]), linear(d, s["d_ff"]), linear(s["d_ff"], d)
        self.norm1, self.norm2 = torch.nn.Parameter(torch.ones(d)), torch.nn.Parameter(torch.ones(d))

    def norm(self, x, weight):
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + 1e-5)).to(x.dtype) * weight

    def turn(self, x, cos, sin):
        a, b = x.chunk(2, -1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

    def forward(self, x, cos, sin):
        s, (batch, length, d) = self.s, x.shape
        head = d // s["heads"]
        split = lambda t, n: t.view(batch, length, n, head).transpose(1, 2)  # noqa: E731
        normed = self.norm(x, self.norm1)
        q = self.turn(split(self.q(normed), s["heads"]), cos, sin)
        k = self.turn(split(self.k(normed), s["kv_heads"]), cos, sin)
        v = split(self.v(normed), s["kv_heads"])
        times = s["heads"] // s["kv_heads"]
        k, v = k.repeat_interleave(times, 1), v.repeat_interleave(times, 1)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        h = x + self.o(mixed.transpose(1, 2).reshape(batch, length, d))
        normed = self.norm(h, self.norm2)
        return h + self.down(F.silu(self.gate(normed)) * self.up(normed))


def measure(device, s, strict):
    torch.use_deterministic_algorithms(strict)
    dtype = torch.bfloat16 if s["bf16"] else torch.float32
    torch.manual_seed(0)
    blocks = torch.nn.ModuleList([Block(s) for _ in range(s["blocks"])]).to(device=device, dtype=dtype)
    head = s["d_model"] // s["heads"]
    angle = torch.outer(torch.arange(s["tokens"]), 10000.0 ** (-torch.arange(head // 2) / (head // 2)))
    cos, sin = angle.cos().to(device=device, dtype=dtype), angle.sin().to(device=device, dtype=dtype)
    x = torch.randn(1, s["tokens"], s["d_model"], device=device, dtype=dtype, requires_grad=True)
    given = torch.randn_like(x) * 0.01
    cuda = device != "cpu"
    wait = torch.cuda.synchronize if cuda else lambda: None

    def forward():
        y = x
        for block in blocks:
            y = block(y, cos, sin)
        return y

    def both():
        forward().backward(given)
        blocks.zero_grad(set_to_none=True)
        x.grad = None

    def seconds(run, rounds):
        for _ in range(2):
            run()
        wait()
        began = time.monotonic()
        for _ in range(rounds):
            run()
        wait()
        return (time.monotonic() - began) / rounds

    rounds = 20 if cuda else 2
    one, two = seconds(forward, rounds), seconds(both, rounds)
    figures = {
        "forward_ms": rounded(1e3 * one),
        "backward_ms": rounded(1e3 * (two - one)),
        "tokens_per_s": rounded(s["tokens"] / two),
        "tflops": rounded(3 * s["flops"] / two / 1e12),
    }
    # An optimiser over an f32 master, as mixed precision has it.
    master = [p.detach().float().requires_grad_() for p in blocks.parameters()]
    for p in master:
        p.grad = torch.full_like(p, 1e-3)
    adam = torch.optim.AdamW(master, lr=1e-3)
    figures["step_ms"] = rounded(1e3 * seconds(lambda: (torch.nn.utils.clip_grad_norm_(master, 1.0), adam.step()), 5 if cuda else 1))
    if cuda:
        figures["peak_memory_gib"] = rounded(torch.cuda.max_memory_allocated() / 2**30)
    check(f"a stage of {s['name']}, {'strictly deterministic' if strict else 'not deterministic'}", **figures)
    if cuda and strict:
        kernels(both, s)


def kernels(both, s):
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        for _ in range(3):
            both()
        torch.cuda.synchronize()
    events = found.key_averages()
    took = lambda e: getattr(e, "self_device_time_total", 0.0)  # noqa: E731
    all_of_it = sum(took(e) for e in events)
    on_card = [e for e in events if str(e.device_type).endswith("CUDA")]
    largest = sorted(on_card, key=took, reverse=True)[:3]
    launches = sum(e.count for e in events if "LaunchKernel" in e.key) / 3
    figures = {f"kernel_{i + 1}": f"{100 * took(e) / max(all_of_it, 1e-9):.0f} %: {e.key[:80]}" for i, e in enumerate(largest)}
    check(f"where a stage of {s['name']} spends its time", launches_per_microbatch=rounded(launches), **figures)


def main():
    arguments = sys.argv[1:]
    device = arguments[arguments.index("--device") + 1]
    shapes = [json.loads(a) for a in arguments if a.startswith("{")]
    if not torch.__version__.startswith("2.11.0"):
        check("torch", "skipped", f"this is torch {torch.__version__}: 2.11.0 is what gpu-check links, so the comparison is with that")
    if device != "cpu" and not torch.cuda.is_available():
        check("the same stages in Python", "skipped", "Python's torch sees no CUDA device")
        return
    if device == "cpu":
        torch.set_num_threads(1)
    else:
        torch.cuda.set_device(device)
    for s in shapes:
        for strict in (True, False):
            try:
                measure(device, s, strict)
            except torch.OutOfMemoryError as error:
                check(f"a stage of {s['name']}", "skipped", str(error).split("\n")[0])
            except RuntimeError as error:
                check(f"a stage of {s['name']}", "failed", str(error).split("\n")[0])


main()
