import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "authors",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("born", sa.Integer()),
        sa.PrimaryKeyConstraint("id", name="pk_authors"),
    )
    op.create_table(
        "books",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("price", sa.Numeric(8, 2), server_default="0", nullable=False),
        sa.Column("kind", sa.Enum("novel", "essay", name="kind"), server_default="novel", nullable=False),
        sa.Column("shelf", sa.Text()),
        sa.ForeignKeyConstraint(["author_id"], ["authors.id"], name="fk_books_author_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_books"),
    )
    op.create_index("ix_books_author_id", "books", ["author_id"])
    op.create_index("ix_books_title", "books", ["title"])


def downgrade() -> None:
    op.drop_table("books")
    op.drop_table("authors")
    op.execute("DROP TYPE kind")
