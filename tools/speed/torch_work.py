"""The same work in PyTorch: forward passes, training steps and pairs, to be timed beside this project's.

Written from the published papers and this project's networks, in the way a PyTorch user would: the small data in
the device's memory, autocast for bfloat16, channels last, fused Adam, cuDNN's own search for the fastest kernels;
gradients are asked for only where they are used. Unlike this project's steps these keep no metrics and no norms of
gradients, do not fade a PGGAN that is full-grown, and their draws cannot be made again.

This module knows nothing of TensorFlow: one process never holds both libraries.
"""

import dataclasses
import random
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch._functorch.config
import torch.nn.functional as F
from torch import nn

from datasets.common.errors import UserError
from datasets.common.machine import peak_memory
from tools.speed import torch_pix2pixhd as pix2pixhd
from tools.speed.items import CLASSES, CROP, FILM, ORGANS, Item
from tools.speed.timing import Device, Work, measure
from tools.speed.torch_pggan import Discriminator, Generator
from tools.speed.torch_smanet import SMANet

_PRECISIONS = ("float32", "mixed_bfloat16")
_DOTS = 64


@dataclasses.dataclass(frozen=True)
class Engine:
    """Where and how PyTorch computes.

    Attributes:
      device: "cuda" or "cpu".
      bfloat16: whether autocast is on.
      channels_last: memory format of pictures and kernels.
      compiled: whether networks pass `torch.compile`.
    """

    device: str
    bfloat16: bool
    channels_last: bool
    compiled: bool

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device, torch.bfloat16, enabled=self.bfloat16)

    def place(self, network: nn.Module) -> nn.Module:
        return network.to(self.device, memory_format=self._format)

    def pictures(self, x: torch.Tensor) -> torch.Tensor:
        return x.contiguous(memory_format=self._format)

    def compile(self, network: nn.Module) -> nn.Module:
        return torch.compile(network) if self.compiled else network

    def adam(self, network: nn.Module, rate: float, beta_1: float, beta_2: float, epsilon: float,
             fused: bool = True):
        return torch.optim.Adam(network.parameters(), rate, (beta_1, beta_2), epsilon,
                                fused=fused and self.device == "cuda")

    @property
    def _format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format


def row(item: Item, precision: str, seconds: float, channels_last: bool, compiled: bool) -> dict[str, Any]:
    """Builds `item` in number format `precision` and times it: see `tools.speed.timing.measure`.

    Raises UserError for a format other than float32 and mixed_bfloat16.
    """
    if precision not in _PRECISIONS:
        raise UserError(f"--peer=torch measures {' and '.join(_PRECISIONS)}, not {precision}; see --precisions")
    # As TensorFlow has it: products of float32 on a GPU in TF32.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    if compiled:
        torch._functorch.config.donated_buffer = False  # a translator's two losses share a pass, which is kept
    engine = Engine("cuda" if torch.cuda.is_available() else "cpu", precision == "mixed_bfloat16", channels_last,
                    compiled)
    return measure(Work(_BUILDERS[item.kind](item, engine)), _device(engine), seconds)


def _device(engine: Engine) -> Device:
    cuda = engine.device == "cuda"
    side = 8192 if cuda else 2048

    def product() -> tuple[Callable[[], Any], float]:
        matrix = torch.randn((side, side), device=engine.device,
                             dtype=torch.bfloat16 if engine.bfloat16 else torch.float32)
        return (lambda: matrix @ matrix), 2.0 * side**3

    if not cuda:
        return Device("CPU", False, lambda: None, lambda: None, peak_memory, product)
    return Device(torch.cuda.get_device_name(), True, torch.cuda.synchronize, torch.cuda.reset_peak_memory_stats,
                  torch.cuda.max_memory_allocated, product)


def _codes(count: int, size: int, classes: int, engine: Engine) -> torch.Tensor:
    return torch.randint(0, classes, (count, size, size), dtype=torch.uint8, device=engine.device)


def _films(count: int, size: int, engine: Engine) -> torch.Tensor:
    return torch.randint(0, 256, (count, size, size), dtype=torch.uint8, device=engine.device)


def _batches(arrays: tuple[torch.Tensor, ...], batch: int,
             crop: int | None = None) -> Iterator[list[torch.Tensor]]:
    """Random rows of the arrays, and of each a random square of side `crop`."""
    count, side = arrays[0].shape[:2]
    while True:
        places = [(random.randrange(count), *(random.randrange(side - (crop or side) + 1) for _ in range(2)))
                  for _ in range(batch)]
        yield [torch.stack([array[row, top:top + crop, left:left + crop] if crop else array[row]
                            for row, top, left in places]) for array in arrays]


def _grey(codes: torch.Tensor) -> torch.Tensor:
    """Codes [N, H, W] -> one channel in [-1, 1]."""
    return (codes.float() * (2 / (CLASSES - 1)) - 1)[:, None]


def _from_grey(channel: torch.Tensor) -> torch.Tensor:
    return ((channel + 1) * ((CLASSES - 1) / 2)).round().clamp(0, CLASSES - 1).long()


def _levels(films: torch.Tensor) -> torch.Tensor:
    return (films.float() / 127.5 - 1)[:, None]


def _one_hot(codes: torch.Tensor, engine: Engine) -> torch.Tensor:
    return engine.pictures(F.one_hot(codes.long(), CLASSES).permute(0, 3, 1, 2).float())


def _enlarge(codes: torch.Tensor, size: int) -> torch.Tensor:
    return F.interpolate(codes[:, None].float(), (size, size))[:, 0]  # nearest neighbour


def _update(optimizer: torch.optim.Optimizer, network: nn.Module, gradients: tuple) -> None:
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()


def _gradients(loss: torch.Tensor, network: nn.Module, keep: bool = False) -> tuple:
    """Of the loss by each parameter of the network; None for those that took no part (levels below a PGGAN's)."""
    return torch.autograd.grad(loss, list(network.parameters()), retain_graph=keep, allow_unused=True)


def _forward(network: nn.Module, inputs: torch.Tensor, engine: Engine) -> Callable[[], Any]:
    network = engine.compile(engine.place(network.eval()))

    @torch.inference_mode()
    def step() -> torch.Tensor:
        with engine.autocast():
            return network(inputs)

    return step


def _pggan_forward(item: Item, engine: Engine) -> Callable[[], Any]:
    network = Generator(item.size, **item.options)
    return _forward(network, torch.randn((item.images, network.latent_size), device=engine.device), engine)


def _translator_forward(item: Item, engine: Engine) -> Callable[[], Any]:
    local = item.options.get("network") == "local"
    network = (pix2pixhd.LocalEnhancer if local else pix2pixhd.GlobalGenerator)(
        CLASSES, item.options.get("channels", 1))
    pictures = torch.rand((item.images, CLASSES, item.size, item.size), device=engine.device)
    return _forward(network, engine.pictures(pictures), engine)


def _segmenter_forward(item: Item, engine: Engine) -> Callable[[], Any]:
    pictures = torch.rand((item.images, 1, item.size, item.size), device=engine.device)
    return _forward(SMANet(ORGANS, **item.options), engine.pictures(pictures), engine)


def _pggan_step(item: Item, engine: Engine) -> Callable[[], Any]:
    """WGAN-GP: discriminator, averaged generator, generator. `torch.compile` has no gradients of gradients, so it
    is given the generator alone."""
    channels = item.options.get("channels", 1)
    generator, average = (engine.place(Generator(item.size, channels)) for _ in range(2))
    critic = engine.place(Discriminator(item.size, channels))
    make = engine.compile(generator)
    # Not fused: on an H100 that refused this step's gradients (PyTorch 2.11).
    optimizers = [engine.adam(network, 1e-3, 0.0, 0.99, 1e-8, fused=False) for network in (generator, critic)]
    arrays = (_codes(16, item.size, CLASSES, engine), _films(16, item.size, engine))[:channels]
    batches = _batches(arrays, item.images)

    def latents() -> torch.Tensor:
        return torch.randn((item.images, generator.latent_size), device=engine.device)

    def step() -> None:
        codes, *films = next(batches)
        real = engine.pictures(torch.cat([_grey(codes), *(_levels(film) for film in films)], 1))
        with engine.autocast():
            with torch.no_grad():
                fake = make(latents())
            mix = torch.rand((item.images, 1, 1, 1), device=engine.device)
            mixed = (real + (fake - real) * mix).requires_grad_()
            real_scores, fake_scores = critic(real), critic(fake)
            slope, = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
            penalty = (slope.float().square().sum((1, 2, 3)).sqrt() - 1).square()[:, None]
            loss = (fake_scores - real_scores + 10 * penalty + 1e-3 * real_scores.square()).mean()
        _update(optimizers[1], critic, _gradients(loss, critic))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), 0.001)
        with engine.autocast():
            loss = -critic(make(latents())).mean()
        _update(optimizers[0], generator, _gradients(loss, generator))

    return step


def _translator_step(item: Item, engine: Engine) -> Callable[[], Any]:
    """Least squares and feature matching; both losses share one pass of the discriminators over the fakes."""
    options = {"ngf": 64, "ndf": 64, "num_D": 2, "network": "global", "translate_from": "labels"} | item.options
    dots = options["translate_from"] == "dots"
    kind = pix2pixhd.LocalEnhancer if options["network"] == "local" else pix2pixhd.GlobalGenerator
    channels = CLASSES if dots else 1
    generator = engine.place(kind(CLASSES, channels, options["ngf"]))
    discriminator = engine.place(pix2pixhd.MultiscaleDiscriminator(CLASSES + channels, options["ndf"],
                                                                   num_D=options["num_D"]))
    make, judge = engine.compile(generator), engine.compile(discriminator)
    optimizers = [engine.adam(network, 2e-4, 0.5, 0.999, 1e-8) for network in (generator, discriminator)]
    sources = _codes(8, min(_DOTS, item.size) if dots else item.size, CLASSES, engine)
    targets = _codes(8, item.size, CLASSES, engine) if dots else _films(8, item.size, engine)
    batches = _batches((sources, targets), item.images)

    def step() -> None:
        source, target = next(batches)
        condition = _one_hot(_enlarge(source, item.size) if dots else source, engine)
        real = _one_hot(target, engine) * 2 - 1 if dots else _levels(target)
        with engine.autocast():
            fake = make(condition)
            real_seen, fake_seen = (judge(engine.pictures(torch.cat([condition, image], 1)))
                                    for image in (real, fake))
            d_loss = 0.5 * (pix2pixhd.lsgan_loss(real_seen, 1.0) + pix2pixhd.lsgan_loss(fake_seen, 0.0))
            g_loss = pix2pixhd.lsgan_loss(fake_seen, 1.0) + pix2pixhd.feature_matching_loss(real_seen, fake_seen)
        gradients = _gradients(g_loss, generator, keep=True), _gradients(d_loss, discriminator)
        for optimizer, network, found in zip(optimizers, (generator, discriminator), gradients, strict=True):
            _update(optimizer, network, found)

    return step


def _segmenter_step(item: Item, engine: Engine) -> Callable[[], Any]:
    network = engine.place(SMANet(ORGANS, **item.options)).train()
    run, optimizer = engine.compile(network), engine.adam(network, 1e-4, 0.9, 0.999, 1e-7)
    side = item.size * FILM // CROP
    batches = _batches((_films(8, side, engine), _codes(8, side, ORGANS, engine)), item.images, item.size)

    def step() -> None:
        films, labels = next(batches)
        with engine.autocast():
            loss = F.cross_entropy(run(engine.pictures(_levels(films))), labels.long())
        _update(optimizer, network, _gradients(loss, network))

    return step


def _pair(item: Item, engine: Engine) -> Callable[[], Any]:
    method = item.options["method"]
    size = min(_DOTS, item.size) if method == "three" else item.size
    sampler = engine.compile(engine.place(Generator(size, 2 if method == "single" else 1).eval()))
    to_labels, to_film = (engine.compile(engine.place(pix2pixhd.GlobalGenerator(CLASSES, channels).eval()))
                          for channels in (CLASSES, 1))

    @torch.inference_mode()
    def step() -> tuple[torch.Tensor, torch.Tensor]:
        with engine.autocast():
            made = sampler(torch.randn((item.images, 64), device=engine.device))
            codes = _from_grey(made[:, 0])
            if method == "single":
                return codes, made[:, 1:].clamp(-1, 1)
            if method == "three":
                codes = to_labels(_one_hot(_enlarge(codes, item.size), engine)).argmax(1)
            return codes, to_film(_one_hot(codes, engine))

    return step


_BUILDERS: dict[str, Callable[[Item, Engine], Callable[[], Any]]] = {
    "pggan_forward": _pggan_forward, "pggan_step": _pggan_step, "translator_forward": _translator_forward,
    "translator_step": _translator_step, "segmenter_forward": _segmenter_forward,
    "segmenter_step": _segmenter_step, "pair": _pair,
}
