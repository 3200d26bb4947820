"""A small shop as it is after the last migration."""

from django.contrib.auth.models import User
from django.db import models
from django.db.models.functions import Lower


class Tag(models.Model):
    word = models.SlugField(unique=True)


class Customer(models.Model):
    class Tier(models.TextChoices):
        PLAIN = "plain"
        GOLD = "gold"

    user = models.OneToOneField(User, models.SET_NULL, null=True)
    full_name = models.CharField(max_length=200)
    email = models.EmailField()
    tier = models.CharField(max_length=8, choices=Tier.choices, default=Tier.PLAIN, db_default="plain")

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="one_customer_per_email")]


class Product(models.Model):
    title = models.CharField(max_length=80, db_index=True)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    facts = models.JSONField(default=dict)
    tags = models.ManyToManyField(Tag)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(price__gte=0), name="price_is_not_negative")]


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="orders")
    products = models.ManyToManyField(Product, through="Line")
    placed_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["customer", "-placed_at"], name="orders_by_time")]


class Line(models.Model):
    order = models.ForeignKey(Order, models.CASCADE)
    product = models.ForeignKey(Product, models.PROTECT)
    quantity = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["order", "product"], name="one_line_per_product")]
