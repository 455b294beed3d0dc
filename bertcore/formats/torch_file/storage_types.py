"""The types of numbers that a storage of torch holds."""

from __future__ import annotations

STORAGE_TYPES = {
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
    "torch.storage.UntypedStorage": "uint8",
}
STORAGE_OF_NUMBER_TYPE = {
    number_type: storage
    for storage, number_type in STORAGE_TYPES.items()
    if storage.count(".") == 1 and number_type != "bfloat16"
}
