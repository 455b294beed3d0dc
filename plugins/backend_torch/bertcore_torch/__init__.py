"""The PyTorch backend of bertcore: BERT on packed rows, without padding in any linear layer.

Files of one name do the same in ``bertcore_mindspore``, so that both can be held side by side:

    plugin, backend     what is registered; what the backend can do, readable without the framework
    devices             which building blocks each kind of device gets
    session             one model on one device: training steps and predictions
    rows                ragged batches to tensors on the device, and back
    encoder             BERT: embeddings and layers, of attention, linear, dropout
    heads, class_losses, crf/, global_pointer, multiple_choice
                        what stands on top
    objectives          forward passes, and what is minimized
    optimizer           AdamW, clipping, and what is not finite
    averages            averages of the weights, with which a session predicts
    adapters            LoRA beside linear layers
    kernels, fused_optimizer
                        the fused kernels of a CPU, and the update by them
    values              arrays into parameters, and out of them

Only here: ``flat_parameters`` (one buffer of all of them), ``foreign_family``, ``foreign_module``,
``foreign_encoder`` and ``foreign_probe`` (every other encoder of transformers, which computes on torch alone),
``pairs`` (of label positions without padding; MindSpore has the matrices of its bins), ``layers`` and
``fused_layers`` (MindSpore's lie beside its encoder), ``operators`` (which torch's compiler sees) and
``whole_encoder`` (MindSpore predicts by a graph). Only in MindSpore: ``shapes``
and ``graphs`` (torch takes any shape and compiles nothing), ``normalization`` and ``activation`` (torch's own are
fast and exact), ``lanes`` (torch has parts of its buffer for these), ``scheduler``,
``record_format``, ``record_reader``.
"""
