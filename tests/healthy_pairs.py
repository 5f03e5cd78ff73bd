"""Models that other people wrote, each with its own loss: none of them should raise an alarm about its structure.

`PAIRS[name]()` builds a tiny, randomly initialised model of `transformers` in train mode, and a function that
returns a fresh loss on random data at each call. Both draw from torch's global random state, so seed it first.
Run as a script, each pair (or those named) takes three forward and backward passes, and prints its time and losses.
"""

import sys
import time
from collections.abc import Callable

import torch
import transformers as hf
from torch import Tensor, nn

Pair = tuple[nn.Module, Callable[[], Tensor]]
PAIRS: dict[str, Callable[[], Pair]] = {}

VOCAB, ROWS, LENGTH = 40, 4, 12


def add(name, model_class, config_class, batch, **config):
    """Registers a model whose forward pass, given `batch()`, returns its loss."""

    def build() -> Pair:
        model = getattr(hf, model_class)(getattr(hf, config_class)(**config)).train()
        return model, lambda: model(**batch()).loss

    if name in PAIRS:
        raise ValueError(f"two pairs are called {name}")
    PAIRS[name] = build


# ---- random batches ----


def words(length=LENGTH, vocab=VOCAB, rows=ROWS):
    """Token numbers from 3 up: 0, 1 and 2 are left to padding, start and end."""
    return torch.randint(3, vocab, (rows, length))


def text(labels, **more):
    """Two inputs of a text encoder, with padding at the end of the last row, and what `labels()` draws."""

    def batch():
        mask = torch.ones(ROWS, LENGTH, dtype=torch.long)
        mask[-1, -3:] = 0
        drawn = labels()
        drawn = drawn if isinstance(drawn, dict) else {"labels": drawn}
        return {
            "input_ids": words(),
            "attention_mask": mask,
            **drawn,
            **{key: make() for key, make in more.items()},
        }

    return batch


def one_of(classes, rows=ROWS):
    return lambda: torch.randint(classes, (rows,))


def per_token(classes):
    return lambda: torch.randint(classes, (ROWS, LENGTH))


def masked_words():
    """Labels at about a third of the places, -100 elsewhere."""
    labels = words()
    labels[torch.rand(ROWS, LENGTH) > 0.3] = -100
    labels[:, 1] = 5
    return labels


def spans():
    return {
        "start_positions": torch.randint(LENGTH, (ROWS,)),
        "end_positions": torch.randint(LENGTH, (ROWS,)),
    }


def next_word(vocab=VOCAB):
    def batch():
        ids = words(vocab=vocab)
        return {"input_ids": ids, "labels": ids.clone()}

    return batch


def translate():
    return {"input_ids": words(), "labels": words(8)}


def image(labels, size=32, channels=3, rows=ROWS):
    def batch():
        drawn = labels()
        drawn = drawn if isinstance(drawn, dict) else {"labels": drawn}
        return {"pixel_values": torch.randn(rows, channels, size, size), **drawn}

    return batch


def segments(classes, size):
    return lambda: torch.randint(classes, (ROWS, size, size))


def boxes():
    """Two boxes per image, as (centre, size) in shares of the image."""

    def one_image():
        centre, size = 0.3 + 0.4 * torch.rand(2, 2), torch.full((2, 2), 0.3)
        return {"class_labels": torch.randint(3, (2,)), "boxes": torch.cat([centre, size], dim=1)}

    return {"labels": [one_image() for _ in range(ROWS)]}


def without(config, *keys):
    return {key: value for key, value in config.items() if key not in keys}


# ---- text encoders ----

TEXT = {
    "vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 32, "pad_token_id": 0,
}  # fmt: skip

add(
    "bert_classes",
    "BertForSequenceClassification",
    "BertConfig",
    text(one_of(3)),
    **TEXT,
    num_labels=3,
)
add(
    "bert_regression", "BertForSequenceClassification", "BertConfig", text(lambda: torch.randn(ROWS)), **TEXT,
    num_labels=1,
)  # fmt: skip
add(
    "bert_multi_label", "BertForSequenceClassification", "BertConfig",
    text(lambda: torch.randint(2, (ROWS, 5)).float()), **TEXT, num_labels=5,
    problem_type="multi_label_classification",
)  # fmt: skip
add("bert_masked", "BertForMaskedLM", "BertConfig", text(masked_words), **TEXT)
add(
    "bert_tokens",
    "BertForTokenClassification",
    "BertConfig",
    text(per_token(4)),
    **TEXT,
    num_labels=4,
)
add("bert_questions", "BertForQuestionAnswering", "BertConfig", text(spans), **TEXT)
add("bert_next_sentence", "BertForNextSentencePrediction", "BertConfig", text(one_of(2)), **TEXT)
add(
    "bert_pretraining",
    "BertForPreTraining",
    "BertConfig",
    text(masked_words, next_sentence_label=one_of(2)),
    **TEXT,
)
add(
    "bert_choices", "BertForMultipleChoice", "BertConfig",
    lambda: {"input_ids": torch.randint(3, VOCAB, (ROWS, 3, LENGTH)), "labels": torch.randint(3, (ROWS,))}, **TEXT,
)  # fmt: skip
add(
    "bert_eager",
    "BertForMaskedLM",
    "BertConfig",
    text(masked_words),
    **TEXT,
    attn_implementation="eager",
)
add(
    "roberta_masked",
    "RobertaForMaskedLM",
    "RobertaConfig",
    text(masked_words),
    **TEXT | {"pad_token_id": 1},
)
add(
    "xlm_roberta_classes", "XLMRobertaForSequenceClassification", "XLMRobertaConfig", text(one_of(3)),
    **TEXT | {"pad_token_id": 1}, num_labels=3,
)  # fmt: skip
add(
    "camembert_tokens", "CamembertForTokenClassification", "CamembertConfig", text(per_token(3)),
    **TEXT | {"pad_token_id": 1}, num_labels=3,
)  # fmt: skip
add(
    "deberta_masked", "DebertaForMaskedLM", "DebertaConfig", text(masked_words), **TEXT, relative_attention=True,
    pos_att_type=["p2c", "c2p"],
)  # fmt: skip
add(
    "deberta_v2_classes", "DebertaV2ForSequenceClassification", "DebertaV2Config", text(one_of(3)), **TEXT,
    num_labels=3, relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=8, norm_rel_ebd="layer_norm",
    share_att_key=True,
)  # fmt: skip
add(
    "albert_masked",
    "AlbertForMaskedLM",
    "AlbertConfig",
    text(masked_words),
    **TEXT,
    embedding_size=16,
)
add(
    "electra_discriminator",
    "ElectraForPreTraining",
    "ElectraConfig",
    text(per_token(2)),
    **TEXT,
    embedding_size=16,
)
add(
    "electra_classes", "ElectraForSequenceClassification", "ElectraConfig", text(one_of(3)), **TEXT,
    embedding_size=16, num_labels=3,
)  # fmt: skip
add(
    "distilbert_classes", "DistilBertForSequenceClassification", "DistilBertConfig", text(one_of(3)),
    vocab_size=VOCAB, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=32, num_labels=3,
)  # fmt: skip
add(
    "mobilebert_masked", "MobileBertForMaskedLM", "MobileBertConfig", text(masked_words),
    **TEXT | {"intermediate_size": 32}, embedding_size=32, intra_bottleneck_size=16, num_feedforward_networks=2,
)  # fmt: skip
add(
    "squeezebert_classes", "SqueezeBertForSequenceClassification", "SqueezeBertConfig", text(one_of(3)), **TEXT,
    embedding_size=32, num_labels=3,
)  # fmt: skip
add(
    "convbert_masked", "ConvBertForMaskedLM", "ConvBertConfig", text(masked_words), **TEXT, embedding_size=32,
    head_ratio=2, conv_kernel_size=3,
)  # fmt: skip
add(
    "mpnet_masked",
    "MPNetForMaskedLM",
    "MPNetConfig",
    text(masked_words),
    **TEXT | {"pad_token_id": 1},
)
add(
    "ernie_classes",
    "ErnieForSequenceClassification",
    "ErnieConfig",
    text(one_of(3)),
    **TEXT,
    num_labels=3,
)
add(
    "roformer_masked",
    "RoFormerForMaskedLM",
    "RoFormerConfig",
    text(masked_words),
    **TEXT,
    embedding_size=32,
)
add(
    "modernbert_masked", "ModernBertForMaskedLM", "ModernBertConfig", text(masked_words), **TEXT, cls_token_id=1,
    sep_token_id=2, bos_token_id=1, eos_token_id=2,
)  # fmt: skip
add(
    "fnet_masked", "FNetForMaskedLM", "FNetConfig", lambda: {"input_ids": words(), "labels": masked_words()},
    **without(TEXT, "num_attention_heads"),
)  # fmt: skip
add(
    "ibert_tokens", "IBertForTokenClassification", "IBertConfig", text(per_token(3)), **TEXT | {"pad_token_id": 1},
    num_labels=3,
)  # fmt: skip
add(
    "esm_masked", "EsmForMaskedLM", "EsmConfig", text(masked_words), **TEXT | {"pad_token_id": 1}, mask_token_id=2,
    position_embedding_type="rotary",
)  # fmt: skip
add(
    "data2vec_text", "Data2VecTextForSequenceClassification", "Data2VecTextConfig", text(one_of(3)),
    **TEXT | {"pad_token_id": 1}, num_labels=3,
)  # fmt: skip
add(
    "nystromformer_classes", "NystromformerForSequenceClassification", "NystromformerConfig", text(one_of(3)), **TEXT,
    num_labels=3, segment_means_seq_len=12, num_landmarks=12,
)  # fmt: skip
add(
    "yoso_masked", "YosoForMaskedLM", "YosoConfig", text(masked_words), **TEXT, use_expectation=True
)
add(
    "canine_classes", "CanineForSequenceClassification", "CanineConfig",
    lambda: {"input_ids": words(16), "labels": torch.randint(3, (ROWS,))}, **without(TEXT, "vocab_size"),
    num_labels=3, num_hash_buckets=64, local_transformer_stride=8, upsampling_kernel_size=2, downsampling_rate=2,
)  # fmt: skip
add(
    "longformer_questions", "LongformerForQuestionAnswering", "LongformerConfig",
    lambda: {
        "input_ids": words(16), "attention_mask": torch.ones(ROWS, 16, dtype=torch.long),
        "global_attention_mask": (torch.arange(16) < 2).long().expand(ROWS, 16).clone(), **spans(),
    },
    **TEXT | {"pad_token_id": 1}, attention_window=8,
)  # fmt: skip
add(
    "bigbird_masked", "BigBirdForMaskedLM", "BigBirdConfig", lambda: {"input_ids": words(64), "labels": words(64)},
    **TEXT | {"max_position_embeddings": 64}, attention_type="block_sparse", block_size=4, num_random_blocks=2,
)  # fmt: skip
add(
    "bigbird_full", "BigBirdForSequenceClassification", "BigBirdConfig", text(one_of(3)), **TEXT,
    attention_type="original_full", num_labels=3,
)  # fmt: skip
add(
    "funnel_classes", "FunnelForSequenceClassification", "FunnelConfig", text(one_of(3)), vocab_size=VOCAB,
    block_sizes=[1, 1], d_model=32, n_head=4, d_head=8, d_inner=64, num_labels=3,
)  # fmt: skip
add(
    "funnel_masked", "FunnelForMaskedLM", "FunnelConfig", text(masked_words), vocab_size=VOCAB, block_sizes=[1, 1],
    num_decoder_layers=1, d_model=32, n_head=4, d_head=8, d_inner=64,
)  # fmt: skip
add(
    "xlnet_language", "XLNetLMHeadModel", "XLNetConfig", next_word(), vocab_size=VOCAB, d_model=32, n_layer=2,
    n_head=4, d_inner=64,
)  # fmt: skip
add(
    "xlnet_classes", "XLNetForSequenceClassification", "XLNetConfig",
    lambda: {"input_ids": words(), "labels": torch.randint(3, (ROWS,))}, vocab_size=VOCAB, d_model=32, n_layer=2,
    n_head=4, d_inner=64, num_labels=3,
)  # fmt: skip
add(
    "xlm_language", "XLMWithLMHeadModel", "XLMConfig", next_word(), vocab_size=VOCAB, emb_dim=32, n_layers=2,
    n_heads=4, max_position_embeddings=32,
)  # fmt: skip
add(
    "flaubert_classes", "FlaubertForSequenceClassification", "FlaubertConfig", text(one_of(3)), vocab_size=VOCAB,
    emb_dim=32, n_layers=2, n_heads=4, max_position_embeddings=32, num_labels=3,
)  # fmt: skip
add(
    "layoutlm_tokens", "LayoutLMForTokenClassification", "LayoutLMConfig",
    text(per_token(3), bbox=lambda: torch.randint(0, 30, (ROWS, LENGTH, 4)).sort(-1).values), **TEXT, num_labels=3,
    max_2d_position_embeddings=64,
)  # fmt: skip
add(
    "perceiver_masked", "PerceiverForMaskedLM", "PerceiverConfig",
    lambda: {"inputs": words(), "labels": masked_words()}, vocab_size=VOCAB, d_model=32, d_latents=32, num_latents=8,
    num_self_attends_per_block=2, num_self_attention_heads=4, num_cross_attention_heads=4,
    max_position_embeddings=LENGTH,
)  # fmt: skip

# ---- decoders ----

CAUSAL = TEXT | {"num_key_value_heads": 2, "bos_token_id": 1, "eos_token_id": 2}
MHA = without(CAUSAL, "num_key_value_heads")

GPT2 = {
    "vocab_size": VOCAB, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 32, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
add("gpt2_language", "GPT2LMHeadModel", "GPT2Config", next_word(), **GPT2)
add(
    "gpt2_classes", "GPT2ForSequenceClassification", "GPT2Config", text(one_of(3)), **GPT2, num_labels=3,
    pad_token_id=0,
)  # fmt: skip
add(
    "gpt_neo_language", "GPTNeoForCausalLM", "GPTNeoConfig", next_word(), vocab_size=VOCAB, hidden_size=32,
    num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]], window_size=6, max_position_embeddings=32,
    bos_token_id=1, eos_token_id=2,
)  # fmt: skip
add("gptj_language", "GPTJForCausalLM", "GPTJConfig", next_word(), **GPT2, rotary_dim=4)
add("neox_language", "GPTNeoXForCausalLM", "GPTNeoXConfig", next_word(), **MHA)
add("codegen_language", "CodeGenForCausalLM", "CodeGenConfig", next_word(), **GPT2, rotary_dim=4)
add("gpt_bigcode_language", "GPTBigCodeForCausalLM", "GPTBigCodeConfig", next_word(), **GPT2)
add(
    "openai_gpt_language", "OpenAIGPTLMHeadModel", "OpenAIGPTConfig", next_word(),
    **without(GPT2, "bos_token_id", "eos_token_id"),
)  # fmt: skip
add(
    "llama_sdpa",
    "LlamaForCausalLM",
    "LlamaConfig",
    next_word(),
    **CAUSAL,
    attn_implementation="sdpa",
)
add(
    "llama_eager",
    "LlamaForCausalLM",
    "LlamaConfig",
    next_word(),
    **CAUSAL,
    attn_implementation="eager",
)
add(
    "llama_classes",
    "LlamaForSequenceClassification",
    "LlamaConfig",
    text(one_of(3)),
    **CAUSAL,
    num_labels=3,
)
add(
    "mistral_language",
    "MistralForCausalLM",
    "MistralConfig",
    next_word(),
    **CAUSAL,
    sliding_window=6,
)
add(
    "mixtral_router", "MixtralForCausalLM", "MixtralConfig", next_word(), **CAUSAL, num_local_experts=4,
    num_experts_per_tok=2, output_router_logits=True, router_aux_loss_coef=0.02,
)  # fmt: skip
add("qwen2_language", "Qwen2ForCausalLM", "Qwen2Config", next_word(), **CAUSAL)
add("qwen3_language", "Qwen3ForCausalLM", "Qwen3Config", next_word(), **CAUSAL, head_dim=8)
add(
    "qwen3_moe_language", "Qwen3MoeForCausalLM", "Qwen3MoeConfig", next_word(), **CAUSAL, head_dim=8,
    moe_intermediate_size=16, num_experts=4, num_experts_per_tok=2, output_router_logits=True,
)  # fmt: skip
add("gemma_language", "GemmaForCausalLM", "GemmaConfig", next_word(), **CAUSAL, head_dim=8)
add(
    "gemma2_language",
    "Gemma2ForCausalLM",
    "Gemma2Config",
    next_word(),
    **CAUSAL,
    head_dim=8,
    sliding_window=6,
)
add(
    "gemma3_language",
    "Gemma3ForCausalLM",
    "Gemma3TextConfig",
    next_word(),
    **CAUSAL,
    head_dim=8,
    sliding_window=6,
)
add("phi_language", "PhiForCausalLM", "PhiConfig", next_word(), **CAUSAL)
add("phi3_language", "Phi3ForCausalLM", "Phi3Config", next_word(), **CAUSAL)
add("olmo2_language", "Olmo2ForCausalLM", "Olmo2Config", next_word(), **CAUSAL)
add("cohere_language", "CohereForCausalLM", "CohereConfig", next_word(), **CAUSAL)
add("stablelm_language", "StableLmForCausalLM", "StableLmConfig", next_word(), **CAUSAL)
add("granite_language", "GraniteForCausalLM", "GraniteConfig", next_word(), **CAUSAL)
add("glm_language", "GlmForCausalLM", "GlmConfig", next_word(), **CAUSAL, head_dim=8)
add("starcoder2_language", "Starcoder2ForCausalLM", "Starcoder2Config", next_word(), **CAUSAL)
add("nemotron_language", "NemotronForCausalLM", "NemotronConfig", next_word(), **CAUSAL, head_dim=8)
add(
    "opt_language", "OPTForCausalLM", "OPTConfig", next_word(), vocab_size=VOCAB, hidden_size=32,
    word_embed_proj_dim=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=64, max_position_embeddings=32,
    pad_token_id=0,
)  # fmt: skip
add(
    "opt_projected", "OPTForCausalLM", "OPTConfig", next_word(), vocab_size=VOCAB, hidden_size=32,
    word_embed_proj_dim=16, do_layer_norm_before=False, num_hidden_layers=2, num_attention_heads=4, ffn_dim=64,
    max_position_embeddings=32, pad_token_id=0,
)  # fmt: skip
add(
    "bloom_language", "BloomForCausalLM", "BloomConfig", next_word(), vocab_size=VOCAB, hidden_size=32, n_layer=2,
    n_head=4,
)  # fmt: skip
add(
    "falcon_language", "FalconForCausalLM", "FalconConfig", next_word(), vocab_size=VOCAB, hidden_size=32,
    num_hidden_layers=2, num_attention_heads=4, bos_token_id=1, eos_token_id=2,
)  # fmt: skip
add(
    "mpt_language", "MptForCausalLM", "MptConfig", next_word(), vocab_size=VOCAB, d_model=32, n_layers=2, n_heads=4,
    max_seq_len=32,
)  # fmt: skip
add(
    "mamba_language", "MambaForCausalLM", "MambaConfig", next_word(), vocab_size=VOCAB, hidden_size=32, state_size=8,
    num_hidden_layers=2, time_step_rank=4,
)  # fmt: skip
add(
    "mamba2_language", "Mamba2ForCausalLM", "Mamba2Config", next_word(), vocab_size=VOCAB, hidden_size=32,
    state_size=8, num_heads=8, head_dim=8, n_groups=1, num_hidden_layers=2, chunk_size=4,
)  # fmt: skip
add(
    "rwkv_language", "RwkvForCausalLM", "RwkvConfig", next_word(), vocab_size=VOCAB, hidden_size=32,
    attention_hidden_size=32, num_hidden_layers=2, context_length=32,
)  # fmt: skip
add(
    "recurrent_gemma", "RecurrentGemmaForCausalLM", "RecurrentGemmaConfig", next_word(),
    **MHA | {"num_hidden_layers": 3}, lru_width=32, attention_window_size=8, conv1d_width=4,
)  # fmt: skip
add(
    "ctrl_language", "CTRLLMHeadModel", "CTRLConfig", next_word(), vocab_size=VOCAB, n_embd=32, n_layer=2, n_head=4,
    dff=64, n_positions=32,
)  # fmt: skip
add("biogpt_language", "BioGptForCausalLM", "BioGptConfig", next_word(), **MHA)
add(
    "xglm_language", "XGLMForCausalLM", "XGLMConfig", next_word(), vocab_size=VOCAB, d_model=32, ffn_dim=64,
    num_layers=2, attention_heads=4, max_position_embeddings=32,
)  # fmt: skip
add("persimmon_language", "PersimmonForCausalLM", "PersimmonConfig", next_word(), **MHA)

# ---- encoder and decoder ----

SEQ2SEQ = {
    "vocab_size": VOCAB, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 32,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1,
}  # fmt: skip
T5 = {
    "vocab_size": VOCAB, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4,
    "decoder_start_token_id": 0,
}  # fmt: skip
add("t5_relu", "T5ForConditionalGeneration", "T5Config", translate, **T5)
add(
    "t5_gated", "T5ForConditionalGeneration", "T5Config", translate, **T5, feed_forward_proj="gated-gelu",
    tie_word_embeddings=False,
)  # fmt: skip
add("mt5_translate", "MT5ForConditionalGeneration", "MT5Config", translate, **T5)
add(
    "switch_transformers", "SwitchTransformersForConditionalGeneration", "SwitchTransformersConfig", translate, **T5,
    num_experts=4, num_sparse_encoder_layers=1, num_sparse_decoder_layers=1, expert_capacity=64,
    output_router_logits=True,
)  # fmt: skip
add("bart_translate", "BartForConditionalGeneration", "BartConfig", translate, **SEQ2SEQ)
add(
    "bart_questions",
    "BartForQuestionAnswering",
    "BartConfig",
    lambda: {"input_ids": words(), **spans()},
    **SEQ2SEQ,
)
add("mbart_translate", "MBartForConditionalGeneration", "MBartConfig", translate, **SEQ2SEQ)
add("pegasus_translate", "PegasusForConditionalGeneration", "PegasusConfig", translate, **SEQ2SEQ)
add("marian_translate", "MarianMTModel", "MarianConfig", translate, **SEQ2SEQ)
add(
    "blenderbot_small",
    "BlenderbotSmallForConditionalGeneration",
    "BlenderbotSmallConfig",
    translate,
    **SEQ2SEQ,
)
add(
    "led_translate", "LEDForConditionalGeneration", "LEDConfig",
    lambda: {
        "input_ids": words(16), "labels": words(8),
        "global_attention_mask": (torch.arange(16) < 1).long().expand(ROWS, 16).clone(),
    },
    **without(SEQ2SEQ, "max_position_embeddings"), max_encoder_position_embeddings=32,
    max_decoder_position_embeddings=32, attention_window=8,
)  # fmt: skip
add("m2m_translate", "M2M100ForConditionalGeneration", "M2M100Config", translate, **SEQ2SEQ)
add(
    "prophetnet_translate", "ProphetNetForConditionalGeneration", "ProphetNetConfig", translate, vocab_size=VOCAB,
    hidden_size=32, num_encoder_layers=2, num_decoder_layers=2, num_encoder_attention_heads=4,
    num_decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=32, ngram=2,
    num_buckets=8, decoder_start_token_id=1, pad_token_id=0,
)  # fmt: skip

# ---- images ----

VISION = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip
add(
    "vit_classes",
    "ViTForImageClassification",
    "ViTConfig",
    image(one_of(3)),
    **VISION,
    num_labels=3,
)
add(
    "vit_masked", "ViTForMaskedImageModeling", "ViTConfig",
    image(lambda: {"bool_masked_pos": torch.rand(ROWS, 16) > 0.5}), **VISION, encoder_stride=8,
)  # fmt: skip
add(
    "deit_classes",
    "DeiTForImageClassification",
    "DeiTConfig",
    image(one_of(3)),
    **VISION,
    num_labels=3,
)
add(
    "beit_classes",
    "BeitForImageClassification",
    "BeitConfig",
    image(one_of(3)),
    **VISION,
    num_labels=3,
)
add(
    "beit_relative", "BeitForImageClassification", "BeitConfig", image(one_of(3)), **VISION, num_labels=3,
    use_relative_position_bias=True, layer_scale_init_value=0.1,
)  # fmt: skip
add(
    "data2vec_vision", "Data2VecVisionForImageClassification", "Data2VecVisionConfig", image(one_of(3)), **VISION,
    num_labels=3,
)  # fmt: skip
add(
    "vit_mae", "ViTMAEForPreTraining", "ViTMAEConfig", image(dict), **VISION, decoder_num_attention_heads=4,
    decoder_hidden_size=32, decoder_num_hidden_layers=1, decoder_intermediate_size=64,
)  # fmt: skip
add(
    "vit_msn",
    "ViTMSNForImageClassification",
    "ViTMSNConfig",
    image(one_of(3)),
    **VISION,
    num_labels=3,
)
add(
    "dinov2_classes", "Dinov2ForImageClassification", "Dinov2Config", image(one_of(3)),
    **without(VISION, "intermediate_size"), num_labels=3,
)  # fmt: skip
add(
    "mobilevit_classes", "MobileViTForImageClassification", "MobileViTConfig", image(one_of(3), size=64),
    hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 16, 24, 24, 32], num_attention_heads=2, image_size=64,
    num_labels=3,
)  # fmt: skip
add(
    "mobilevit_v2", "MobileViTV2ForImageClassification", "MobileViTV2Config", image(one_of(3), size=64),
    image_size=64, width_multiplier=0.25, base_attn_unit_dims=[32, 48, 64], n_attn_blocks=[1, 1, 1], num_labels=3,
)  # fmt: skip
add(
    "mobilenet_v1", "MobileNetV1ForImageClassification", "MobileNetV1Config", image(one_of(3), size=64),
    depth_multiplier=0.25, image_size=64, num_labels=3,
)  # fmt: skip
add(
    "mobilenet_v2", "MobileNetV2ForImageClassification", "MobileNetV2Config", image(one_of(3), size=64),
    depth_multiplier=0.25, image_size=64, num_labels=3,
)  # fmt: skip
add(
    "efficientnet_classes", "EfficientNetForImageClassification", "EfficientNetConfig", image(one_of(3)),
    image_size=32, width_coefficient=0.25, depth_coefficient=0.25, hidden_dim=320, num_labels=3,
)  # fmt: skip
add(
    "convnext_classes", "ConvNextForImageClassification", "ConvNextConfig", image(one_of(3)),
    hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_labels=3,
)  # fmt: skip
add(
    "convnext_v2", "ConvNextV2ForImageClassification", "ConvNextV2Config", image(one_of(3)),
    hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_labels=3,
)  # fmt: skip
add(
    "resnet_bottleneck", "ResNetForImageClassification", "ResNetConfig", image(one_of(3)), embedding_size=8,
    hidden_sizes=[16, 32], depths=[1, 2], num_labels=3,
)  # fmt: skip
add(
    "resnet_basic", "ResNetForImageClassification", "ResNetConfig", image(one_of(3)), embedding_size=8,
    hidden_sizes=[8, 16], depths=[2, 2], layer_type="basic", num_labels=3,
)  # fmt: skip
add(
    "regnet_classes", "RegNetForImageClassification", "RegNetConfig", image(one_of(3)), embedding_size=8,
    hidden_sizes=[16, 32], depths=[1, 2], groups_width=8, num_labels=3,
)  # fmt: skip
add(
    "bit_classes", "BitForImageClassification", "BitConfig", image(one_of(3)), embedding_size=8,
    hidden_sizes=[16, 32], depths=[1, 1], num_groups=4, num_labels=3,
)  # fmt: skip
add(
    "swin_classes", "SwinForImageClassification", "SwinConfig", image(one_of(3)), image_size=32, patch_size=2,
    embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4, num_labels=3,
)  # fmt: skip
add(
    "swin_v2", "Swinv2ForImageClassification", "Swinv2Config", image(one_of(3)), image_size=32, patch_size=2,
    embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4, num_labels=3,
)  # fmt: skip
add(
    "cvt_classes", "CvtForImageClassification", "CvtConfig", image(one_of(3), size=64), embed_dim=[8, 16, 32],
    num_heads=[1, 2, 4], depth=[1, 2, 3], num_labels=3,
)  # fmt: skip
add(
    "levit_classes", "LevitForImageClassification", "LevitConfig", image(one_of(3), size=64), image_size=64,
    hidden_sizes=[16, 32, 48], num_attention_heads=[2, 2, 2], depths=[1, 1, 1], key_dim=[8, 8, 8], num_labels=3,
)  # fmt: skip
add(
    "poolformer_classes", "PoolFormerForImageClassification", "PoolFormerConfig", image(one_of(3)),
    hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_labels=3,
)  # fmt: skip
add(
    "pvt_classes", "PvtForImageClassification", "PvtConfig", image(one_of(3), size=64), image_size=64,
    hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 2], num_labels=3,
)  # fmt: skip
add(
    "focalnet_classes", "FocalNetForImageClassification", "FocalNetConfig", image(one_of(3)), image_size=32,
    patch_size=2, embed_dim=16, depths=[1, 1], focal_levels=[2, 2], focal_windows=[3, 3], hidden_sizes=[16, 32],
    num_labels=3,
)  # fmt: skip
add(
    "segformer_classes", "SegformerForImageClassification", "SegformerConfig", image(one_of(3)),
    hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 4], sr_ratios=[4, 2, 1, 1],
    num_labels=3,
)  # fmt: skip
add(
    "segformer_segments", "SegformerForSemanticSegmentation", "SegformerConfig", image(segments(3, 32)),
    hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 4], sr_ratios=[4, 2, 1, 1],
    decoder_hidden_size=32, num_labels=3,
)  # fmt: skip
add(
    "dpt_segments", "DPTForSemanticSegmentation", "DPTConfig", image(segments(3, 32)),
    **VISION | {"num_hidden_layers": 4}, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 16, 16],
    fusion_hidden_size=16, num_labels=3,
)  # fmt: skip
add(
    "upernet_segments", "UperNetForSemanticSegmentation", "UperNetConfig", image(segments(3, 64), size=64),
    backbone_config={
        "model_type": "convnext", "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1],
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
    },
    hidden_size=16, pool_scales=[1, 2], auxiliary_in_channels=24, auxiliary_channels=16, num_labels=3,
)  # fmt: skip
add(
    "detr_boxes", "DetrForObjectDetection", "DetrConfig", image(boxes, size=64),
    backbone_config={
        "model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic",
        "out_features": ["stage2"],
    },
    use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, d_model=32, encoder_layers=1,
    decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64,
    num_queries=6, num_labels=3,
)  # fmt: skip
add(
    "yolos_boxes", "YolosForObjectDetection", "YolosConfig", image(boxes), **VISION | {"image_size": [32, 32]},
    num_detection_tokens=6, num_labels=3,
)  # fmt: skip
add(
    "imagegpt_language", "ImageGPTForCausalImageModeling", "ImageGPTConfig", next_word(vocab=VOCAB - 1),
    **without(GPT2, "bos_token_id", "eos_token_id"),
)  # fmt: skip
add(
    "timesformer_classes", "TimesformerForVideoClassification", "TimesformerConfig",
    lambda: {"pixel_values": torch.randn(ROWS, 2, 3, 32, 32), "labels": torch.randint(3, (ROWS,))}, **VISION,
    num_frames=2, num_labels=3,
)  # fmt: skip
add(
    "videomae_classes", "VideoMAEForVideoClassification", "VideoMAEConfig",
    lambda: {"pixel_values": torch.randn(ROWS, 4, 3, 32, 32), "labels": torch.randint(3, (ROWS,))}, **VISION,
    num_frames=4, tubelet_size=2, num_labels=3,
)  # fmt: skip

# ---- images with text ----

TOWERS = {
    "text_config": TEXT | {"projection_dim": 16, "bos_token_id": 1, "eos_token_id": 2},
    "vision_config": VISION | {"projection_dim": 16},
}  # fmt: skip


def captions():
    ids = words()
    ids[:, -1] = 2
    return {"input_ids": ids, "pixel_values": torch.randn(ROWS, 3, 32, 32), "return_loss": True}


def told_images():
    return {**next_word()(), "pixel_values": torch.randn(ROWS, 3, 32, 32)}


add("clip_contrast", "CLIPModel", "CLIPConfig", captions, **TOWERS, projection_dim=16)
add("siglip_contrast", "SiglipModel", "SiglipConfig", captions, **TOWERS)
add("chinese_clip", "ChineseCLIPModel", "ChineseCLIPConfig", captions, **TOWERS, projection_dim=16)
add(
    "altclip_contrast", "AltCLIPModel", "AltCLIPConfig", captions,
    text_config=TEXT | {"project_dim": 16, "pad_token_id": 1}, vision_config=TOWERS["vision_config"],
    projection_dim=16,
)  # fmt: skip
add(
    "groupvit_contrast", "GroupViTModel", "GroupViTConfig", captions, text_config=TOWERS["text_config"],
    vision_config={
        "hidden_size": 32, "num_hidden_layers": 3, "depths": [1, 1, 1], "num_group_tokens": [8, 4, 0],
        "num_output_groups": [8, 4, 4], "num_attention_heads": 4, "intermediate_size": 64, "image_size": 32,
        "patch_size": 8,
    },
    projection_dim=16, projection_intermediate_dim=32,
)  # fmt: skip
add(
    "blip_captions", "BlipForConditionalGeneration", "BlipConfig", told_images,
    text_config=TEXT | {"bos_token_id": 1, "eos_token_id": 2, "sep_token_id": 2, "encoder_hidden_size": 32},
    vision_config=VISION, projection_dim=16,
)  # fmt: skip
add("git_captions", "GitForCausalLM", "GitConfig", told_images, **TEXT, vision_config=VISION)
add(
    "vilt_answers", "ViltForQuestionAnswering", "ViltConfig",
    lambda: {
        "input_ids": words(), "pixel_values": torch.randn(ROWS, 3, 32, 32),
        "pixel_mask": torch.ones(ROWS, 32, 32, dtype=torch.long), "labels": torch.rand(ROWS, 5),
    },
    **TEXT | {"image_size": 32, "patch_size": 8}, num_labels=5, max_image_length=-1,
)  # fmt: skip

# ---- sound ----

WAVE = {
    "vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "conv_dim": [16, 16, 16], "conv_kernel": [8, 4, 4], "conv_stride": [4, 2, 2], "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4, "pad_token_id": 0, "ctc_loss_reduction": "mean",
    "mask_time_length": 2, "mask_feature_length": 2, "layerdrop": 0.0,
}  # fmt: skip


def sound(labels):
    return lambda: {"input_values": torch.randn(ROWS, 800), "labels": labels()}


for family in ("Wav2Vec2", "Hubert", "WavLM", "UniSpeech", "SEW", "Data2VecAudio"):
    extra = {"squeeze_factor": 2} if family == "SEW" else {}
    add(
        f"{family.lower()}_ctc",
        f"{family}ForCTC",
        f"{family}Config",
        sound(lambda: words(5)),
        **WAVE,
        **extra,
    )
add(
    "wav2vec2_classes", "Wav2Vec2ForSequenceClassification", "Wav2Vec2Config", sound(one_of(3)), **WAVE, num_labels=3,
    classifier_proj_size=16,
)  # fmt: skip
add(
    "wav2vec2_conformer", "Wav2Vec2ConformerForCTC", "Wav2Vec2ConformerConfig", sound(lambda: words(5)), **WAVE,
    conv_depthwise_kernel_size=5,
)  # fmt: skip
add(
    "whisper_translate", "WhisperForConditionalGeneration", "WhisperConfig",
    lambda: {"input_features": torch.randn(ROWS, 16, 40), "labels": words(8)},
    **without(SEQ2SEQ, "max_position_embeddings"), num_mel_bins=16, max_source_positions=20, max_target_positions=16,
    suppress_tokens=None, begin_suppress_tokens=None,
)  # fmt: skip
add(
    "speech_to_text", "Speech2TextForConditionalGeneration", "Speech2TextConfig",
    lambda: {"input_features": torch.randn(ROWS, 40, 16), "labels": words(8)},
    **without(SEQ2SEQ, "max_position_embeddings"), input_feat_per_channel=16, conv_channels=32,
    max_source_positions=64, max_target_positions=32,
)  # fmt: skip
add(
    "audio_spectrogram", "ASTForAudioClassification", "ASTConfig",
    lambda: {"input_values": torch.randn(ROWS, 32, 16), "labels": torch.randint(3, (ROWS,))},
    **without(VISION, "image_size", "patch_size", "hidden_size", "intermediate_size"), hidden_size=32,
    intermediate_size=64, patch_size=8, max_length=32, num_mel_bins=16, frequency_stride=8, time_stride=8,
    num_labels=3,
)  # fmt: skip
add(
    "clap_contrast", "ClapModel", "ClapConfig",
    lambda: {
        "input_ids": words(), "input_features": torch.randn(ROWS, 1, 64, 32),
        "is_longer": torch.zeros(ROWS, 1, dtype=torch.bool), "return_loss": True,
    },
    text_config=TEXT | {"pad_token_id": 1},
    audio_config={
        "spec_size": 64, "num_mel_bins": 32, "patch_size": 4, "patch_stride": [4, 4], "patch_embeds_hidden_size": 16,
        "hidden_size": 32, "depths": [1, 1], "num_attention_heads": [2, 2], "window_size": 4, "enable_fusion": False,
    },
    projection_dim=16,
)  # fmt: skip

# ---- time series ----

PATCHES = {
    "num_input_channels": 2, "context_length": 32, "patch_length": 8, "patch_stride": 8, "d_model": 32,
    "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64,
}  # fmt: skip


def series(**targets):
    return lambda: {
        "past_values": torch.randn(ROWS, 32, 2).cumsum(1),
        **{key: make() for key, make in targets.items()},
    }


add(
    "patchtst_forecast", "PatchTSTForPrediction", "PatchTSTConfig",
    series(future_values=lambda: torch.randn(ROWS, 8, 2)), **PATCHES, prediction_length=8, loss="mse", scaling="std",
)  # fmt: skip
add(
    "patchtst_nll", "PatchTSTForPrediction", "PatchTSTConfig", series(future_values=lambda: torch.randn(ROWS, 8, 2)),
    **PATCHES, prediction_length=8, loss="nll", distribution_output="student_t",
)  # fmt: skip
add(
    "patchtst_classes", "PatchTSTForClassification", "PatchTSTConfig", series(target_values=one_of(3)), **PATCHES,
    num_targets=3, use_cls_token=True,
)  # fmt: skip
add(
    "patchtst_pretraining", "PatchTSTForPretraining", "PatchTSTConfig", series(), **PATCHES, mask_type="random",
    random_mask_ratio=0.4, do_mask_input=True,
)  # fmt: skip
add(
    "patchtsmixer_forecast", "PatchTSMixerForPrediction", "PatchTSMixerConfig",
    series(future_values=lambda: torch.randn(ROWS, 8, 2)), context_length=32, patch_length=8, patch_stride=8,
    num_input_channels=2, d_model=16, num_layers=2, prediction_length=8,
)  # fmt: skip


def history():
    past = 8 + 7
    return {
        "past_values": torch.randn(ROWS, past), "past_time_features": torch.randn(ROWS, past, 2),
        "past_observed_mask": torch.ones(ROWS, past), "future_values": torch.randn(ROWS, 4),
        "future_time_features": torch.randn(ROWS, 4, 2),
    }  # fmt: skip


FORECAST = {
    "prediction_length": 4, "context_length": 8, "lags_sequence": [1, 2, 7], "num_time_features": 2, "d_model": 16,
    "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
}  # fmt: skip
add(
    "time_series_transformer",
    "TimeSeriesTransformerForPrediction",
    "TimeSeriesTransformerConfig",
    history,
    **FORECAST,
)
add("informer_forecast", "InformerForPrediction", "InformerConfig", history, **FORECAST)
add(
    "autoformer_forecast",
    "AutoformerForPrediction",
    "AutoformerConfig",
    history,
    **FORECAST,
    label_length=4,
)


# How many trainable parameters no loss of a pair ever reaches, as the authors left them: to say so is no false alarm.
UNREACHED: dict[str, int] = {
    "fnet_masked": 2, "esm_masked": 2, "canine_classes": 20, "bigbird_masked": 2, "bigbird_full": 2,
    "xlnet_language": 5, "xlnet_classes": 5, "layoutlm_tokens": 2, "dinov2_classes": 1, "dpt_segments": 6,
    "wav2vec2_conformer": 3,
}  # fmt: skip


def try_out(name):
    """Three losses of one pair, each with its backward pass."""
    torch.manual_seed(0)
    start = time.perf_counter()
    model, loss_of = PAIRS[name]()
    losses = []
    for _ in range(3):
        loss = loss_of()
        loss.backward()
        losses.append(f"{loss.item():.3f}")
    seconds = time.perf_counter() - start
    trainable = {key: p for key, p in model.named_parameters() if p.requires_grad}
    unreached = [key for key, p in trainable.items() if p.grad is None]
    if not all(p.grad.isfinite().all() for p in trainable.values() if p.grad is not None):
        losses.append("GRADIENT NOT FINITE")
    size = sum(p.numel() for p in model.parameters())
    print(
        f"{name}: {seconds:.2f} s, losses {' '.join(losses)}, {size} parameters, {len(unreached)} tensors unreached"
    )
    if len(unreached) != UNREACHED.get(name, 0):
        print("   ", *unreached)


if __name__ == "__main__":
    for name in sys.argv[1:] or PAIRS:
        try_out(name)
