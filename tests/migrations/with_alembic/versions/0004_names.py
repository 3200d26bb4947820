"""Renamed and retyped columns, one that goes, other indexes and another foreign key."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.alter_column("authors", "name", new_column_name="full_name", type_=sa.String(120))
    op.alter_column("authors", "born", type_=sa.BigInteger())
    op.add_column("books", sa.Column("about", JSONB(), server_default="{}", nullable=False))
    op.execute("UPDATE books SET about = jsonb_build_object('shelf', shelf) WHERE shelf IS NOT NULL")
    op.drop_column("books", "shelf")
    op.drop_constraint("fk_books_author_id", "books", type_="foreignkey")
    op.create_foreign_key("fk_books_author_id", "books", "authors", ["author_id"], ["id"], ondelete="RESTRICT")
    with op.get_context().autocommit_block():
        op.drop_index("ix_books_title", "books", postgresql_concurrently=True)
        op.create_index(
            "ix_books_cheap", "books", ["price"], postgresql_where=sa.text("price < 10"), postgresql_concurrently=True
        )


def downgrade() -> None:
    op.drop_index("ix_books_cheap", "books")
    op.create_index("ix_books_title", "books", ["title"])
    op.drop_constraint("fk_books_author_id", "books", type_="foreignkey")
    op.create_foreign_key("fk_books_author_id", "books", "authors", ["author_id"], ["id"], ondelete="CASCADE")
    op.add_column("books", sa.Column("shelf", sa.Text()))
    op.execute("UPDATE books SET shelf = about ->> 'shelf'")
    op.drop_column("books", "about")
    op.alter_column("authors", "born", type_=sa.Integer())
    op.alter_column("authors", "full_name", new_column_name="name", type_=sa.String(40))
