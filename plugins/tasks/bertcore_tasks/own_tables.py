"""What tells how the user's own tables are read, whatever their columns hold."""

from __future__ import annotations

from bertcore.config import joined
from pydantic import Field, field_validator

from bertcore_tasks.label_texts import AUTO
from bertcore_tasks.own_files import OwnFilesConfig


class TableConfig(OwnFilesConfig):
    """Data options of every task on tables."""

    header: bool | None = Field(
        None, description="whether the first row names the columns, which else are 1, 2, 3, ...; default: found"
    )
    separator: str | None = Field(
        None, description="what stands between two columns, as tab, comma, semicolon or itself; default: found"
    )
    ignore_labels: str | None = Field(
        AUTO,
        description="labels, between commas, that stand for no label; default: '-', and '-1' where a test file has no "
        "other; 'none': none",
    )

    @field_validator("ignore_labels", mode="before")
    @classmethod
    def _join_ignore_labels(cls, value: object) -> object:
        return joined(value)
