"""New, renamed, retyped and dropped columns, choices, JSON, constraints, indexes."""

from decimal import Decimal

from django.db import migrations, models
from django.db.models.functions import Lower


def to_facts(apps, schema_editor):
    for product in apps.get_model("shop", "Product").objects.order_by("id"):
        product.facts = {"cents": int(product.price)}
        product.price = product.price / Decimal(100)
        product.save()


class Migration(migrations.Migration):
    dependencies = [("shop", "0003_lines")]
    operations = [
        migrations.RenameField("customer", "name", "full_name"),
        migrations.AlterField("customer", "full_name", models.CharField(max_length=200)),
        migrations.AddField(
            "customer",
            "tier",
            models.CharField(
                max_length=8, choices=[("plain", "Plain"), ("gold", "Gold")], default="plain", db_default="plain"
            ),
        ),
        migrations.RemoveField("customer", "note"),
        migrations.AddConstraint("customer", models.UniqueConstraint(Lower("email"), name="one_customer_per_email")),
        migrations.AddField("product", "facts", models.JSONField(default=dict)),
        migrations.AlterField("product", "price", models.DecimalField(max_digits=8, decimal_places=2)),
        migrations.AddField("product", "tags", models.ManyToManyField(to="shop.tag")),
        migrations.RunPython(to_facts, migrations.RunPython.noop),
        migrations.AddConstraint(
            "product",
            models.CheckConstraint(condition=models.Q(price__gte=0), name="price_is_not_negative"),
        ),
        migrations.RemoveIndex("order", "orders_of_customer"),
        migrations.AddIndex("order", models.Index(fields=["customer", "-placed_at"], name="orders_of_time")),
        migrations.RenameIndex("order", new_name="orders_by_time", old_name="orders_of_time"),
        migrations.AlterField(
            "order",
            "customer",
            models.ForeignKey(to="shop.customer", on_delete=models.PROTECT, related_name="orders"),
        ),
    ]
