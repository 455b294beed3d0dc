"""Downloads a model from the Hugging Face hub, or from its cache; honours HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE."""

from __future__ import annotations

import errno
from pathlib import Path

from bertcore.errors import BertcoreError, ModelError, Origin, OutputError
from bertcore.near_misses import nearest_path
from bertcore.tokenization.files import TOKENIZER_FILES
from bertcore.weights.converters.model_folder import CONFIG_FILE

_SMALL_FILES = (CONFIG_FILE, *TOKENIZER_FILES)
_SAFETENSORS = ("model.safetensors", "model.safetensors.index.json", "model-*.safetensors")
_TORCH = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin")


def download_model(name: str, revision: str | None = None) -> Path:
    """Brings the files of a model into the cache, those that are missing, and returns their folder.

    A pickle is taken only where there are no safetensors.

    Args:
        name: ``ORG/NAME``, or one of the old names without an organization.
        revision: branch, tag or commit; by default the main branch.

    Raises:
        ModelError: the hub does not have it, does not give it, or cannot be reached.
        OutputError: the cache cannot be written.
    """
    # Half a second, which only those pay who ask for a model by its name.
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=[*_SMALL_FILES, *_SAFETENSORS]))
        if not any(folder.glob("model*.safetensors*")):
            snapshot_download(name, revision=revision, allow_patterns=[*_SMALL_FILES, *_TORCH])
    except Exception as error:  # of the network, the hub and the disk, of half a dozen libraries
        raise _explained(name, revision, error) from error
    return folder


def _explained(name: str, revision: str | None, error: Exception) -> BertcoreError:
    from huggingface_hub import constants, errors

    hub = constants.ENDPOINT
    folder = nearest_path(Path(name))
    near = "" if folder is None else f"did you mean the folder {folder}? else "
    if isinstance(error, errors.GatedRepoError):
        return ModelError(
            f"{hub} gives this model only to those who accepted its terms",
            f"accept them on {hub}/{name}, then log in: hf auth login, or set HF_TOKEN",
            origin=Origin(name),
            code="hub-access-denied",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelError(
            f"no such folder here, and no such model on {hub}",
            near + "check the name; for a private model log in: hf auth login, or set HF_TOKEN",
            origin=Origin(name),
            code="model-missing",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelError(
            f"has no revision {revision!r} on {hub}",
            "give a branch, a tag or a commit of it",
            origin=Origin(name),
            code="model-missing",
        )
    if isinstance(error, errors.LocalEntryNotFoundError) and constants.HF_HUB_OFFLINE:
        return ModelError(
            "no such folder here, and HF_HUB_OFFLINE is set while the model is not whole in the cache",
            near + "unset HF_HUB_OFFLINE to download it, or set HF_HOME to where it was downloaded",
            origin=Origin(name),
            code="hub-unreachable",
        )
    if isinstance(error, errors.LocalEntryNotFoundError):
        return ModelError(
            f"no such folder here, and {hub} cannot be reached",
            near + "check the name and the network, or give the path of a model folder",
            origin=Origin(name),
            code="hub-unreachable",
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
        return OutputError(
            f"cannot write the cache {constants.HF_HUB_CACHE}: {(error.strerror or '').lower()}",
            "set HF_HOME to a folder that you may write to and that has space",
            origin=Origin(name),
            code="output-unwritable",
        )
    first_line = next(iter(str(error).splitlines()), "")
    return ModelError(
        f"the download from {hub} was interrupted: {type(error).__name__}: {first_line}",
        "run the command again; it goes on where it stopped",
        origin=Origin(name),
        code="hub-unreachable",
    )
