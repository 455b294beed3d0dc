"""Weight files of other programs, read into numpy arrays and written from them, by their formats alone.

No framework is imported: `.safetensors` (with bfloat16), torch's `.bin`, `.pt` and `.pth` (without ever unpickling),
MindSpore's `.ckpt`. What the tensors mean is for the converters to say.
"""
