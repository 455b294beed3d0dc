"""The MindSpore backend of bertcore: BERT in graph mode, on a few static shapes.

Files of one name do the same in ``bertcore_torch``, so that both can be held side by side:

    plugin, backend     what is registered; what the backend can do, readable without the framework
    devices             which building blocks each kind of device gets
    session             one model on one device: training steps and predictions
    rows                ragged batches to arrays on the device, and back
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

Only here: ``shapes`` (a compiled graph keeps its buffers for the life of the process, so its shapes are a budget),
``graphs`` (what is compiled for each shape; torch compiles nothing), ``normalization`` and ``activation`` (torch's are
fast and exact on every device), ``lanes`` (what the update graph treats alike),
``scheduler`` (the process at which ranks meet), ``record_format`` and ``record_reader`` (MindRecord).
Only in torch: the ``foreign_*`` files, since transformers computes on torch, ``pairs``, ``flat_parameters``, ``layers``
and ``fused_layers`` (here beside the encoder), ``operators`` and ``whole_encoder``.
"""
