#!/usr/bin/env python3
"""Extract the CPU part of libtorch from PyPI wheels: mklibtorch.py WHEELS_DIR OUT_DIR

The `torch` wheel is 531 MB, nearly all of it CUDA. Five shared objects and the headers are what a CPU build links.
OUT_DIR appears whole or not at all: everything is written beside it and renamed at the end.
"""

import os
import shutil
import sys
import zipfile
from pathlib import Path

LIBRARIES = {
    "torch/lib/libtorch_cpu.so",
    "torch/lib/libc10.so",
    "torch/lib/libgomp.so.1",
}
# Named by libtorch_cpu.so as needed although no CUDA device is touched.
NVIDIA_STEMS = ("libcudart.so.", "libcupti.so.")


def wheel(folder: Path, stem: str) -> Path:
    found = sorted(folder.glob(f"{stem}-*.whl"))
    if len(found) != 1:
        sys.exit(f"mklibtorch: {folder} holds {len(found)} wheels named {stem}-*.whl, 1 is needed")
    return found[0]


def extract(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, open(target, "wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: mklibtorch.py WHEELS_DIR OUT_DIR")
    wheels, out = Path(sys.argv[1]), Path(sys.argv[2])
    staging = out.with_name(out.name + f".{os.getpid()}.part")
    shutil.rmtree(staging, ignore_errors=True)
    lib = staging / "lib"
    lib.mkdir(parents=True)

    with zipfile.ZipFile(wheel(wheels, "torch")) as torch:
        names = set(torch.namelist())
        missing = LIBRARIES - names
        # The OpenMP runtime's file name carries a hash in some wheels.
        gomp = [n for n in names if n.startswith("torch") and "libgomp" in n]
        missing -= {"torch/lib/libgomp.so.1"} if gomp else set()
        if missing:
            sys.exit(f"mklibtorch: the torch wheel lacks {sorted(missing)}")
        for member in LIBRARIES - {"torch/lib/libgomp.so.1"}:
            extract(torch, member, lib / Path(member).name)
        extract(torch, gomp[0], lib / "libgomp.so.1")
        for member in names:
            if member.startswith("torch/include/") and not member.endswith("/"):
                extract(torch, member, staging / "include" / member[len("torch/include/"):])
        version = next(
            line.split("=")[1].strip().strip("'\"")
            for line in torch.read("torch/version.py").decode().splitlines()
            if line.startswith("__version__")
        )
    for name in ("nvidia_cuda_runtime", "nvidia_cuda_cupti"):
        with zipfile.ZipFile(wheel(wheels, name)) as archive:
            for member in archive.namelist():
                base = Path(member).name
                if base.startswith(NVIDIA_STEMS) and base.count(".") == 2:
                    extract(archive, member, lib / base)

    (lib / "libtorch.so").symlink_to("libtorch_cpu.so")
    (lib / "libgomp.so").symlink_to("libgomp.so.1")
    (staging / "build-version").write_text(version + "\n")
    shutil.rmtree(out, ignore_errors=True)
    staging.rename(out)
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file() and not f.is_symlink())
    print(f"libtorch {version}: {size / 1e6:.0f} MB in {out}", file=sys.stderr)


if __name__ == "__main__":
    main()
