"""A small library as it is after the last migration."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


book_tags = sa.Table(
    "book_tags",
    Base.metadata,
    sa.Column("book_id", sa.ForeignKey("books.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True),
)


class Author(Base):
    __tablename__ = "authors"

    id: Mapped[int] = mapped_column(primary_key=True)
    full_name: Mapped[str] = mapped_column(sa.String(120))
    born: Mapped[int | None] = mapped_column(sa.BigInteger)


class Tag(Base):
    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    word: Mapped[str] = mapped_column(sa.Text, unique=True)


class Book(Base):
    __tablename__ = "books"
    __table_args__ = (
        sa.CheckConstraint("price >= 0", name="price"),
        sa.UniqueConstraint("author_id", "title"),
        sa.Index("ix_books_cheap", "price", postgresql_where=sa.text("price < 10")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("authors.id", ondelete="RESTRICT"), index=True)
    title: Mapped[str] = mapped_column(sa.Text)
    price: Mapped[float] = mapped_column(sa.Numeric(8, 2), server_default="0")
    kind: Mapped[str] = mapped_column(sa.Enum("novel", "essay", name="kind"), server_default="novel")
    isbn: Mapped[str] = mapped_column(sa.String(13), unique=True)
    about: Mapped[dict[str, str]] = mapped_column(JSONB, server_default="{}")
    tags: Mapped[list[Tag]] = relationship(secondary=book_tags)


class Review(Base):
    __tablename__ = "reviews"

    id: Mapped[int] = mapped_column(primary_key=True)
    book_id: Mapped[int] = mapped_column(sa.ForeignKey("books.id", ondelete="CASCADE"), index=True)
    reviewer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("authors.id"))
    verdict: Mapped[str] = mapped_column(sa.Enum("good", "bad", name="verdict"))
    written_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now())
