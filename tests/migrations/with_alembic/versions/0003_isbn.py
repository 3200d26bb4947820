"""A column that is filled before it must not be NULL."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("books", sa.Column("isbn", sa.String(13)))
    books = sa.table("books", sa.column("id", sa.Integer), sa.column("isbn", sa.String))
    connection = op.get_bind()
    for (book,) in connection.execute(sa.select(books.c.id)).all():
        connection.execute(books.update().where(books.c.id == book).values(isbn=f"978-{book:09}"))
    op.alter_column("books", "isbn", nullable=False)
    op.create_unique_constraint("uq_books_isbn", "books", ["isbn"])
    op.create_check_constraint("price", "books", "price >= 0")
    op.create_unique_constraint("uq_books_author_id", "books", ["author_id", "title"])


def downgrade() -> None:
    op.drop_constraint("uq_books_author_id", "books")
    op.drop_constraint("ck_books_price", "books")
    op.drop_constraint("uq_books_isbn", "books")
    op.drop_column("books", "isbn")
