"""A new table with a type of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("book_id", sa.Integer(), nullable=False),
        sa.Column("reviewer_id", sa.Integer()),
        sa.Column("verdict", sa.Enum("good", "bad", name="verdict"), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(["book_id"], ["books.id"], name="fk_reviews_book_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["reviewer_id"], ["authors.id"], name="fk_reviews_reviewer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
    )
    op.create_index("ix_reviews_book_id", "reviews", ["book_id"])
    op.execute("INSERT INTO reviews (book_id, verdict, written_at) SELECT id, 'good', '2026-01-01' FROM books")


def downgrade() -> None:
    op.drop_table("reviews")
    op.execute("DROP TYPE verdict")
