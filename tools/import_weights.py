"""Brings published weights, by the names under which their authors released them, into .keras files.

    python -m tools.import_weights --model=pix2pixhd --from=latest_net_G.pth --out=FOLDER
    python -m tools.import_weights --model=pggan --from=weights.npz --out=FOLDER --check

--from is an .npz of arrays, or for Pix2PixHD a PyTorch state dict (.pth; PyTorch is not needed, and nothing
that the file pickles is run). An .npz may hold several networks and the activations that --check compares:
  pix2pixhd  global/NAME, local/NAME and disc/NAME; with label_map, real, global_out, local_out,
             real_features/scaleS_layerL, loss/NAME, grad_global/NAME
  pggan      weights/G/NAME and weights/D/NAME; with latents, images, lods, G_out/I, D_scores/I, D_input_grad/I
Kernels are as released (Pix2PixHD: [out, in, height, width]); pictures are [N, channels, height, width]. The
architecture is told by names and shapes, which are then checked one by one.
"""

import pathlib
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import report_user_errors
from datasets.common.output_folders import WEIGHTS, check_output

_MODEL = flags.DEFINE_enum("model", None, ["pggan", "pix2pixhd"], "whose networks these are", required=True)
_FROM = flags.DEFINE_string("from", None, "weights by released names: .npz, or .pth (pix2pixhd)", required=True)
_OUT = flags.DEFINE_string("out", None, "folder for the .keras files", required=True)
_NETWORK = flags.DEFINE_list("network", None, "which networks of the file: global, local, disc (pix2pixhd), G, D "
                                              "(pggan); all that it holds unless told")
_CHECK = flags.DEFINE_bool("check", False, "compare with the activations in the same file first")


def main(argv) -> None:
    from tools.published_weights.state_dict import read_tensors

    source = _FROM.value
    check_output(_OUT.value, WEIGHTS, [source])
    tensors = read_tensors(source)  # refused files are told before TensorFlow starts
    from tools.published_weights.rebuild import check_activations, rebuild, save, split_networks

    weights, rest = split_networks(tensors, _MODEL.value, _NETWORK.value, source)
    networks = {key: rebuild(_MODEL.value, key, arrays, source) for key, arrays in weights.items()}
    if _CHECK.value:
        check_activations(_MODEL.value, networks, rest, source)
    for key, network in networks.items():
        print(save(network, key, _OUT.value))


if __name__ == "__main__":
    app.run(report_user_errors(main))
