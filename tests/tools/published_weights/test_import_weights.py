"""Weights by released names become this project's files: .npz, .pth written by hand, and bad files of each."""

import collections
import pickle
import re
import zipfile

import keras
import numpy as np
import pytest

from datasets.common.errors import UserError
from models import pggan
from models.pix2pixhd import GlobalGenerator, LocalEnhancer, MultiscaleDiscriminator
from tests.helpers import binaries
from tools.published_weights import pggan_names
from tools.published_weights.pix2pixhd_names import released_weights
from tools.published_weights.rebuild import check_activations, rebuild, save, split_networks
from tools.published_weights.state_dict import read_state_dict, read_tensors

NUMBER_TYPES = {"f4": "FloatStorage", "f2": "HalfStorage", "f8": "DoubleStorage", "i8": "LongStorage"}


class Named:
    """Pickled as the name of something in another module."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Storage:
    def __init__(self, key, kind, count):
        self.key, self.kind, self.count = key, kind, count


class Call:
    """Pickled as the call of a name."""

    def __init__(self, module, name, *arguments):
        self.function, self.arguments = Named(module, name), arguments


class HandPickler(pickle._Pickler):
    """Protocol 2 as PyTorch writes it, without having the modules it names."""

    def persistent_id(self, value):
        if isinstance(value, Storage):
            return ("storage", Named("torch", value.kind), value.key, "cpu", value.count)
        return None

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Named):
            self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
        elif isinstance(value, Call):
            self.save(value.function)
            self.save(value.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(value, save_persistent_id)


def write_pth(path, value, storages, compression=zipfile.ZIP_STORED, **extra):
    """A zip of data.pkl and data/KEY as torch.save lays them out."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        with archive.open("archive/data.pkl", "w") as file:
            HandPickler(file, 2).dump(value)
        for key, data in storages.items():
            archive.writestr(f"archive/data/{key}", data)
        for name, data in {"version": "3\n", **extra}.items():
            archive.writestr(f"archive/{name}", data)
    return path


def tensor(key, array, offset=0, size=None, stride=None, count=None):
    array = np.asarray(array)
    kind = NUMBER_TYPES[array.dtype.str[1:]]
    steps = tuple(step // array.itemsize for step in np.ascontiguousarray(array).strides)
    return Call("torch._utils", "_rebuild_tensor_v2", Storage(key, kind, array.size if count is None else count),
                offset, array.shape if size is None else size, steps if stride is None else stride, False,
                collections.OrderedDict())


def write_state_dict(path, arrays):
    value = collections.OrderedDict((name, tensor(name, array)) for name, array in arrays.items())
    return write_pth(path, value, {name: np.asarray(array).tobytes() for name, array in arrays.items()})


def released(network, channels, separate=True, seed=0):
    """Random weights by the released names of `network`."""
    network.build((None, None, None, channels))
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=place.shape).astype(np.float32)
            for name, place in released_weights(network, separate).items()}


def generator_weights():
    return released(GlobalGenerator(2, ngf=3, n_downsampling=1, n_blocks=1), 3)


def run(*arguments):
    return binaries.run("tools.import_weights", *arguments)


def refusal(path, key="global", wanted=None, model="pix2pixhd"):
    """The one line with which importing `path` is refused."""
    with pytest.raises(UserError) as caught:
        weights, _ = split_networks(read_tensors(path), model, wanted, str(path))
        rebuild(model, key, weights[key], str(path))
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message


def test_npz_command_checks_and_writes(shared_dir, tmp_path):
    source = shared_dir / "reference" / "pix2pixhd_32px.npz"
    done = run("--model=pix2pixhd", f"--from={source}", f"--out={tmp_path}", "--check")
    assert done.code == 0, done.err
    errors = re.findall(r"^(\S+).*: largest relative error (\S+)$", done.out, re.MULTILINE)
    assert [name for name, _ in errors] == [
        "global_out", "local_out", *(f"real_features/scale{s}_layer{i}" for s in (0, 1) for i in range(5)),
        "loss/G_GAN", "loss/G_GAN_Feat", "loss/D_real", "loss/D_fake", "grad_global"]
    assert max(float(error) for _, error in errors) < 1e-4
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["discriminator.keras", "global_generator.keras", "local_enhancer.keras"]
    network = keras.saving.load_model(tmp_path / "local_enhancer.keras")
    with np.load(source) as file:
        kernel = file["local/model1_2.6.weight"]
    np.testing.assert_array_equal(network.head.conv.kernel.numpy(), kernel.transpose(2, 3, 1, 0))


def test_command_refuses_in_one_line(tmp_path):
    path = write_pth(tmp_path / "net_G.pth", Call("os", "system", f"touch {tmp_path}/executed"), {})
    failed = run("--model=pix2pixhd", f"--from={path}", f"--out={tmp_path / 'out'}")
    binaries.told(failed, f"{path}: ", "os.system")
    assert [file.name for file in tmp_path.iterdir()] == ["net_G.pth"]


@pytest.mark.parametrize("network,channels,key,separate", [
    (GlobalGenerator(2, ngf=3, n_downsampling=1, n_blocks=1), 3, "global", True),
    (LocalEnhancer(1, ngf=2, n_downsampling=1, n_blocks=2, n_local_blocks=1), 3, "local", True),
    (MultiscaleDiscriminator(ndf=2, n_layers=2, num_D=3), 4, "disc", True),
    (MultiscaleDiscriminator(ndf=2, n_layers=2, num_D=2), 4, "disc", False)])
def test_networks_are_told_by_their_names(tmp_path, network, channels, key, separate):
    weights = released(network, channels, separate)
    path = write_state_dict(tmp_path / "net.pth", {f"module.{name}": array for name, array in weights.items()})
    found, rest = split_networks(read_tensors(path), "pix2pixhd", None, str(path))
    assert list(found) == [key] and rest == {}
    line = save(rebuild("pix2pixhd", key, found[key], str(path)), key, tmp_path / "out")
    file, = (tmp_path / "out").iterdir()
    assert line.startswith(f"{file}: {type(network).__name__} with {network.count_params():,} weights (")
    for name, place in released_weights(keras.saving.load_model(file), separate).items():
        np.testing.assert_array_equal(place.variable.numpy(), place.convert(weights[name]))


def test_state_dict_views_types_and_statistics(tmp_path, capsys):
    """Transposed and offset tensors, half precision, and buffers of old files."""
    storage = np.arange(24, dtype=np.float32)
    value = {"turned": tensor("0", storage, 0, (6, 4), (1, 6)), "part": tensor("0", storage, 7, (2, 3), (6, 2)),
             "scalar": tensor("1", np.array([7])), "half": tensor("2", np.array([0.5, -2], np.float16))}
    path = write_pth(tmp_path / "views.pth", value, {
        "0": storage.tobytes(), "1": np.array([7]).tobytes(), "2": np.array([0.5, -2], np.float16).tobytes()})
    read = read_state_dict(path)
    np.testing.assert_array_equal(read["turned"], storage.reshape(4, 6).T)
    np.testing.assert_array_equal(read["part"], storage.reshape(4, 6)[1:3, 1::2])
    assert read["scalar"] == 7 and read["half"].dtype == np.float16 and list(read["half"]) == [0.5, -2]
    weights = generator_weights()
    rebuild("pix2pixhd", "global", {**weights, "model.2.running_mean": np.zeros(3)}, "file")
    assert "1 running statistics" in capsys.readouterr().out


def test_bfloat16_and_big_endian(tmp_path):
    path = write_pth(tmp_path / "bf16.pth", {"w": Call(
        "torch._utils", "_rebuild_tensor_v2", Storage("0", "BFloat16Storage", 2), 0, (2,), (1,), False, None)},
        {"0": np.array([0x3FC0, 0xC000], "<u2").tobytes()})
    np.testing.assert_array_equal(read_state_dict(path)["w"], np.array([1.5, -2], np.float32))
    path = write_pth(tmp_path / "big.pth", {"w": tensor("0", np.ones(2, np.float32))},
                     {"0": np.array([3, 4], ">f4").tobytes()}, byteorder="big")
    np.testing.assert_array_equal(read_state_dict(path)["w"], [3, 4])


@pytest.mark.parametrize("value,reason", [
    (Call("os", "system", "touch {target}"), r"os\.system"),
    ({"model.1.weight": Call("builtins", "eval", "open('{target}', 'w')")}, r"builtins\.eval"),
    (Call("builtins", "getattr", Named("os", "system"), "x"), r"builtins\.getattr"),
    (Call("torch", "load", "x"), r"torch\.load"),
    (Call("collections", "defaultdict"), r"collections\.defaultdict"),
    ({"state_dict": collections.OrderedDict()}, "'state_dict' in it is of type OrderedDict"),
    ([1, 2], "type list")])
def test_pickles_of_anything_but_tensors_are_refused(tmp_path, value, reason):
    target = tmp_path / "executed"
    for call in (value, *(value.values() if isinstance(value, dict) else ())):
        if isinstance(call, Call):
            call.arguments = tuple(str(argument).format(target=target) if isinstance(argument, str) else argument
                                   for argument in call.arguments)
    path = write_pth(tmp_path / "bad.pth", value, {})
    with pytest.raises(UserError, match=reason) as caught:
        read_state_dict(path)
    assert "nothing of it was run" in str(caught.value) and str(path) in str(caught.value)
    assert not target.exists()


def test_instructions_beyond_state_dicts_are_refused(tmp_path):
    """Objects built without a call, and a memo index that would fill the memory."""
    codes = {"NEWOBJ": b"\x80\x02cos\nsystem\n)\x81.", "STRING": b"(S'x'\nios\nsystem\n.",
             "LONG_BINPUT": b"\x80\x02}r\xff\xff\xff\x7f."}
    for name, code in codes.items():
        path = tmp_path / f"{name}.pth"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", code)
        with pytest.raises(UserError, match=f"an instruction {name} "):
            read_state_dict(path)


@pytest.mark.parametrize("change,reason", [
    ({"size": (5,)}, "reaches beyond its storage"), ({"offset": 1}, "reaches beyond"),
    ({"size": (10**6, 10**6), "stride": (0, 0)}, "reaches beyond"), ({"stride": (-1,)}, "stride"),
    ({"count": 3}, "expected 3")])
def test_tensors_outside_their_storage_are_refused(tmp_path, change, reason):
    array = np.arange(4, dtype=np.float32)
    path = write_pth(tmp_path / "outside.pth", {"w": tensor("0", array, **change)}, {"0": array.tobytes()})
    with pytest.raises(UserError, match=f"damaged PyTorch file .*{reason}"):
        read_state_dict(path)


def test_other_files_are_refused(tmp_path):
    legacy = tmp_path / "legacy.pth"
    legacy.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2))
    assert "re-save it with PyTorch: torch.save(torch.load(" in refusal(legacy)
    damaged = write_state_dict(tmp_path / "damaged.pth", generator_weights())
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 255
    damaged.write_bytes(data)
    assert "damaged PyTorch file" in refusal(damaged)
    packed = write_pth(tmp_path / "packed.pth", {}, {}, zipfile.ZIP_DEFLATED)
    assert "compressed" in refusal(packed)
    assert all("no such file" in refusal(tmp_path / f"missing.{kind}") for kind in ("pth", "npz"))
    (tmp_path / "text.npz").write_text("no arrays")
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    np.savez(tmp_path / "objects.npz", **{"global/model.1.weight": np.array([{}, None])})
    for name in ("text.npz", "one.npz", "objects.npz"):
        assert "not a readable .npz" in refusal(tmp_path / name)
    np.savez(tmp_path / "zip.npz", a=1)
    (tmp_path / "zip.npz").rename(tmp_path / "zip.pth")
    assert "without a PyTorch pickle" in refusal(tmp_path / "zip.pth")


def test_each_name_and_shape_is_checked(tmp_path):
    def message(**changes):
        weights = {**generator_weights(), **changes}
        return refusal(write_state_dict(
            tmp_path / "bad.pth", {name: array for name, array in weights.items() if array is not None}))
    assert message(**{"model.4.bias": None}).endswith("network global: missing model.4.bias")
    assert message(extra=np.zeros(2, np.float32)).endswith("network global: left over extra")
    assert message(**{"model.4.weight": np.zeros((6, 2, 3, 3), np.float32)}).endswith(
        "model.4.weight is (6, 2, 3, 3), expected (6, 3, 3, 3)")
    assert message(**{"model.4.bias": np.full(6, np.nan, np.float32)}).endswith("finite numbers: model.4.bias")
    several = message(extra=np.zeros(2, np.float32), **{"model.4.bias": None})
    assert several.endswith("missing model.4.bias; left over extra")
    assert "not those of a Pix2PixHD network" in message(**{"model.1.weight": None})
    depths = {"model.5.conv_block.1.weight": None, "model.999.conv_block.1.weight": np.zeros(1, np.float32)}
    assert "network global" in message(**depths)


def test_networks_asked_for(tmp_path, capsys):
    path = tmp_path / "both.npz"
    weights = generator_weights()
    np.savez(path, **{f"global/{name}": array for name, array in weights.items()}, label_map=np.zeros((1, 8, 8)),
             epoch=7)
    found, rest = split_networks(read_tensors(path), "pix2pixhd", ["global"], str(path))
    assert list(found) == ["global"] and list(rest) == ["label_map", "epoch"]
    assert capsys.readouterr().out == f"{path}: left over, not imported: epoch\n"
    assert "holds no weights of disc" in refusal(path, wanted=["disc"])
    assert "holds no weights of pggan" in refusal(path, "G", model="pggan")
    with pytest.raises(UserError, match="global, local, disc"):
        split_networks({}, "pix2pixhd", ["G"], str(path))
    np.savez(path, **{f"local/{name}": array for name, array in weights.items()})
    assert "the names are those of network global" in refusal(path, "local")


def test_check_tells_other_activations():
    network = rebuild("pix2pixhd", "global", generator_weights(), "file")
    label_map = np.random.default_rng(0).integers(0, 3, (1, 8, 8))
    made = network(np.eye(3, dtype=np.float32)[label_map]).numpy().transpose(0, 3, 1, 2)

    def check(**activations):
        return check_activations("pix2pixhd", {"global": network}, activations, "file")
    assert check(label_map=label_map, global_out=made)["global_out"] < 1e-6
    for wrong in (made + 2e-4, made * np.nan):
        with pytest.raises(UserError, match=r"global_out differ by more than 0\.0001; nothing was written"):
            check(label_map=label_map, global_out=wrong)
    for labels, output in ((label_map, made[..., 1:]), (label_map + 3, made)):
        with pytest.raises(UserError, match="do not fit its networks"):
            check(label_map=labels, global_out=output)
    with pytest.raises(UserError, match="no activations"):
        check(global_out=made)


def pggan_weights(network):
    rng = np.random.default_rng(2)
    return {name: rng.normal(size=place.shape).astype(np.float32)
            for name, place in pggan_names.released_weights(network).items()}


def test_pggan_round_trip(tmp_path):
    """Both networks from one .npz; two channels and other maps than the defaults."""
    made = {"G": pggan.Generator(16, 2, fmap_base=48, fmap_max=12),
            "D": pggan.Discriminator(16, 2, fmap_base=48, fmap_max=12)}
    made["G"].build((None, 12))
    made["D"].build((None, 16, 16, 2))
    weights = {key: pggan_weights(network) for key, network in made.items()}
    path = tmp_path / "networks.npz"
    np.savez(path, **{f"weights/{key}/{name}": array for key, arrays in weights.items()
                      for name, array in arrays.items()})
    found, rest = split_networks(read_tensors(path), "pggan", None, str(path))
    assert list(found) == ["G", "D"] and rest == {}
    for key, arrays in found.items():
        save(rebuild("pggan", key, arrays, str(path)), key, tmp_path)
        copy = keras.saving.load_model(tmp_path / ("generator.keras" if key == "G" else "discriminator.keras"))
        assert {**copy.get_config(), "name": made[key].name} == made[key].get_config()
        for name, place in pggan_names.released_weights(copy).items():
            np.testing.assert_array_equal(place.variable.numpy(), place.convert(weights[key][name]))


def test_pggan_names_and_shapes_are_checked(tmp_path):
    network = pggan.Generator(8, 1, fmap_base=16, fmap_max=4)
    network.build((None, 4))
    weights = pggan_weights(network)

    def message(**changes):
        path = tmp_path / "bad.npz"
        arrays = {name: array for name, array in {**weights, **changes}.items() if array is not None}
        np.savez(path, **{f"weights/G/{name}": array for name, array in arrays.items()})
        return refusal(path, "G", model="pggan")
    assert message(**{"8x8/Conv1/bias": None}).endswith("network G: missing 8x8/Conv1/bias")
    assert message(lod=np.zeros(())).endswith("network G: left over lod")
    assert message(**{"8x8/Conv1/bias": np.zeros(5)}).endswith("8x8/Conv1/bias is (5,), expected (4,)")
    assert "not those of a PGGAN network" in message(**{"4x4/Conv/weight": None})
    assert "the names are those of network D" in message(**{"FromRGB_lod0/bias": np.zeros(4)})


def test_pggan_activations(shared_dir):
    source = shared_dir / "reference" / "pggan_16px.npz"
    weights, rest = split_networks(read_tensors(source), "pggan", None, str(source))
    networks = {key: rebuild("pggan", key, arrays, str(source)) for key, arrays in weights.items()}
    errors = check_activations("pggan", networks, rest, str(source))
    assert len(errors) == 15 and max(errors.values()) < 1e-4
    rest["D_scores/3"] = rest["D_scores/3"] + 1
    with pytest.raises(UserError, match=r"npz: D_scores/3 \(level of detail 1\.5\) differ by more"):
        check_activations("pggan", networks, rest, str(source))
