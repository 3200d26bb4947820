"""A table between two gets columns of its own: a new one takes its place, and its rows."""

from django.db import migrations, models


def to_lines(apps, schema_editor):
    between, line = apps.get_model("shop", "Order").products.through, apps.get_model("shop", "Line")
    old = between.objects.order_by("order_id", "product_id").values_list("order_id", "product_id")
    line.objects.bulk_create(line(order_id=order, product_id=product) for order, product in old)


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_rows")]
    operations = [
        migrations.CreateModel(
            "Line",
            [
                ("id", models.BigAutoField(primary_key=True, auto_created=True, serialize=False, verbose_name="ID")),
                ("order", models.ForeignKey(to="shop.order", on_delete=models.CASCADE)),
                ("product", models.ForeignKey(to="shop.product", on_delete=models.PROTECT, related_name="+")),
                ("quantity", models.PositiveIntegerField(default=1)),
            ],
        ),
        migrations.AddConstraint(
            "line", models.UniqueConstraint(fields=["order", "product"], name="one_line_per_product")
        ),
        migrations.RunPython(to_lines, migrations.RunPython.noop),
    ]
