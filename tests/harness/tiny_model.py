"""tiny_model.py FOLDER — writes a tiny but real BERT: tokenizer, configuration, weights, card."""

import json
import sys
from pathlib import Path

import numpy
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] this is a an example sentence hello world the hub . , ! ?".split()
SIZE, VOCABULARY = 32, len(WORDS)


def main(folder):
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "tokenizer_config.json").write_text(json.dumps({**special, "tokenizer_class": "BertTokenizer"}))
    config = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": SIZE, "vocab_size": VOCABULARY}
    config.update(num_attention_heads=2, num_hidden_layers=1, intermediate_size=2 * SIZE, max_position_embeddings=64)
    (folder / "config.json").write_text(json.dumps(config))
    random = numpy.random.default_rng(1)
    tensors = {
        "embeddings.word_embeddings.weight": random.standard_normal((VOCABULARY, SIZE)).astype("float32"),
        "embeddings.position_embeddings.weight": random.standard_normal((64, SIZE)).astype("float32"),
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "README.md").write_text("---\nlicense: apache-2.0\ntags:\n- sentence-similarity\n---\n# A tiny model\n")


main(Path(sys.argv[1]))
